//! The event store of `cqrs-es` over the writers: its framework decides, the writer appends.
//!
//! What is loaded was proved like a refusal, so nothing is decided on a state that may still be
//! lost; what is committed carries the version that it was decided on, and counts on that only.

mod envelopes;
mod history;

use std::any::TypeId;
use std::collections::HashMap;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use bytes::Bytes;
use cqrs_es::{AggregateContext, AggregateError, EventEnvelope, EventStore};

use crate::contract::{Aggregate, EventOf, Key, Version};

use super::decided::{Decided, Look};
use super::done::Done;
use super::expected::Expected;
use super::failure::{CommandError, Failure};
use super::handle::{Commands, SendOptions};
use super::kind::{AnyKind, State};
use super::order::Order;

pub(crate) use history::Whereabouts;

/// The record's `command` where events come from a framework whose metadata names none.
const COMMITTED: &str = "Commit";

/// A `cqrs_es::EventStore` whose events are in the log; [`App`](crate::app::App) gives it out.
///
/// A `CqrsFramework` moves to the log by exchanging its store. Commands that are sent to the
/// application meanwhile see the same aggregates; whoever comes second gets a conflict.
///
/// - `load_aggregate` gives the writer's state, once it is proved that nothing newer is in the
///   log. `load_events` reads the records that `history` names, if those are all up to the version
///   that the writer proves. Where `history` is paused or being built, or the writer is elsewhere,
///   it reads the whole partition.
/// - `commit` appends the events as one record, if the aggregate still has the version that was
///   loaded; else it is an `AggregateConflict`, and nothing was appended. No events append
///   nothing.
/// - `correlation_id`, `causation_id`, `actor`, `traceparent` and `command` of the metadata are
///   fields of the record, everything else is its `metadata`. All of it comes back with the
///   events. Without a `command` the record's is `Commit`.
///
/// # Errors
/// The inner error of `DatabaseConnectionError` (retry later), `DeserializationError` (a person
/// must look) and `UnexpectedError` is a [`Failure`], or says which record cannot be read. Only
/// [`Failure::OutcomeUnknown`] means that the events may have been appended.
///
/// ```
/// use std::collections::HashMap;
///
/// use cqrs_es::CqrsFramework;
/// use retell::app::App;
/// # use retell::doc::{Light, LightCommand};
///
/// # tokio::runtime::Runtime::new().expect("a runtime").block_on(async {
/// let app = App::ephemeral().aggregate::<Light>(()).build().await.expect("an application");
/// app.ready().await;
///
/// let framework = CqrsFramework::new(app.event_store::<Light>(), vec![], ());
/// framework.execute("hall", LightCommand::SwitchOn {}).await.expect("it was off");
/// let metadata = HashMap::from([("actor".to_owned(), "ann".to_owned())]);
/// let again = framework.execute_with_metadata("hall", LightCommand::SwitchOn {}, metadata);
/// assert_eq!(again.await.expect_err("a refusal").to_string(), "the light is on");
/// # });
/// ```
pub struct LogEventStore<A> {
    commands: Commands,
    whereabouts: Arc<dyn Whereabouts>,
    aggregate: PhantomData<fn() -> A>,
}

/// An aggregate as it was loaded, with the version that a commit must find.
///
/// ```
/// use cqrs_es::EventStore;
/// use retell::{Version, app::App, write::SendOptions};
/// # use retell::doc::{Light, LightCommand};
///
/// # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let app = App::ephemeral().aggregate::<Light>(()).build().await?;
/// app.ready().await;
/// let order = LightCommand::SwitchOn {};
/// let done = app.commands().send::<Light>("hall", order, SendOptions::default()).await?;
/// let hall = app.event_store::<Light>().load_aggregate("hall").await?;
/// assert_eq!((hall.id(), hall.version()), ("hall", Version(1)));
/// # app.stop().await; Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct LogContext<A> {
    id: Key,
    aggregate: A,
    version: Version,
}

impl<A: Aggregate> LogEventStore<A> {
    pub(crate) const fn new(commands: Commands, whereabouts: Arc<dyn Whereabouts>) -> Self {
        Self { commands, whereabouts, aggregate: PhantomData }
    }

    /// The aggregate type, which must be registered as this very Rust type.
    fn kind(&self) -> Result<Arc<dyn AnyKind>, Failure> {
        let kind = self.commands.kind(<A as cqrs_es::Aggregate>::TYPE)?;
        if kind.state_type() != TypeId::of::<A>() {
            let name = kind.name();
            return Err(Failure::Bug(format!("`{name}` is registered with another Rust type")));
        }
        Ok(kind)
    }

    /// The state that the writer proves, and where it is.
    async fn look(&self, id: &Key) -> Result<(State, Done), AggregateError<A::Error>> {
        let look = Look::default();
        let order = Order::of("Look".to_owned(), Bytes::new(), look.clone());
        let done = self.hand_over(id, order, SendOptions::default()).await?;
        let state = look.seen().expect("the writer showed it before it answered");
        Ok((state, done))
    }

    /// The events without looking for them in the log, where that can be.
    async fn load_known(&self, id: &Key) -> Option<Vec<EventEnvelope<A>>> {
        let (_, done) = self.look(id).await.ok()?;
        if done.version == Version::NONE {
            return Some(Vec::new());
        }
        let records = self.whereabouts.commits(&done.target, done.position).await?;
        history::all_up_to(done.version, id, &records)
    }

    async fn hand_over(
        &self,
        id: &Key,
        order: Order,
        options: SendOptions,
    ) -> Result<Done, AggregateError<A::Error>> {
        let kind = self.kind().map_err(error)?;
        let done = self.commands.hand_over(kind, id, order, options).await;
        done.map_err(|failed| match failed {
            CommandError::Failed(failure) => error(failure),
            CommandError::Refused { refusal, .. } | CommandError::RefusedBefore { refusal, .. } => {
                error(Failure::Bug(refusal.detail))
            }
        })
    }
}

impl<A: Aggregate> LogContext<A> {
    /// The aggregate's id.
    #[must_use]
    pub fn id(&self) -> &str {
        self.id.as_str()
    }

    /// The version that was loaded.
    #[must_use]
    pub const fn version(&self) -> Version {
        self.version
    }
}

impl<A: Aggregate> AggregateContext<A> for LogContext<A> {
    fn aggregate(&mut self) -> &mut A {
        &mut self.aggregate
    }
}

impl<A: Aggregate> EventStore<A> for LogEventStore<A> {
    type AC = LogContext<A>;

    async fn load_events(
        &self,
        aggregate_id: &str,
    ) -> Result<Vec<EventEnvelope<A>>, AggregateError<A::Error>> {
        let id = key(aggregate_id)?;
        let kind = self.kind().map_err(error)?;
        match self.load_known(&id).await {
            Some(events) => Ok(events),
            None => history::scan(&self.commands, kind.as_ref(), &id).await,
        }
    }

    async fn load_aggregate(
        &self,
        aggregate_id: &str,
    ) -> Result<LogContext<A>, AggregateError<A::Error>> {
        let id = key(aggregate_id)?;
        let (state, done) = self.look(&id).await?;
        let aggregate = state.downcast_ref::<A>().expect("its type was compared").clone();
        Ok(LogContext { id, aggregate, version: done.version })
    }

    async fn commit(
        &self,
        events: Vec<EventOf<A>>,
        context: LogContext<A>,
        metadata: HashMap<String, String>,
    ) -> Result<Vec<EventEnvelope<A>>, AggregateError<A::Error>> {
        if events.is_empty() {
            return Ok(Vec::new());
        }
        let json = serde_json::to_vec(&events);
        let json = json.map_err(|error| AggregateError::UnexpectedError(Box::new(error)))?;
        let (command, fields) = envelopes::fields_of(metadata.clone());
        let events = Arc::new(events);
        let order = Order::of(command, json.into(), Decided::<A>(events.clone()));
        let expected = Some(Expected::Version(context.version));
        let options = SendOptions { metadata: fields, expected, ..SendOptions::default() };
        self.hand_over(&context.id, order, options).await?;
        let enveloped = events.iter().zip(1..).map(|(event, nth)| {
            let version = context.version.plus(nth);
            envelopes::envelope(context.id.as_str(), version, event.clone(), metadata.clone())
        });
        Ok(enveloped.collect())
    }
}

impl<A> Clone for LogEventStore<A> {
    fn clone(&self) -> Self {
        Self {
            commands: self.commands.clone(),
            whereabouts: self.whereabouts.clone(),
            aggregate: PhantomData,
        }
    }
}

impl<A: Aggregate> fmt::Debug for LogEventStore<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LogEventStore").field(&<A as cqrs_es::Aggregate>::TYPE).finish()
    }
}

fn key<E: std::error::Error>(id: &str) -> Result<Key, AggregateError<E>> {
    Key::new(id).map_err(|invalid| error(invalid.into()))
}

/// What was in the way, as `cqrs-es` sorts it.
fn error<E: std::error::Error>(failure: Failure) -> AggregateError<E> {
    match failure {
        Failure::VersionDiffers { .. } => AggregateError::AggregateConflict,
        Failure::HistoryUnreadable { .. } => {
            AggregateError::DeserializationError(Box::new(failure))
        }
        Failure::OutOfTurn
        | Failure::QueueFull { .. }
        | Failure::CacheFull { .. }
        | Failure::StateUnavailable(_)
        | Failure::KeysFull { .. }
        | Failure::NoOwner { .. }
        | Failure::LogUnavailable(_)
        | Failure::InFlight
        | Failure::SearchTimeout
        | Failure::DecideTimeout(_)
        | Failure::ShuttingDown
        | Failure::OutcomeUnknown => AggregateError::DatabaseConnectionError(Box::new(failure)),
        Failure::UnknownAggregate(_)
        | Failure::BadId(_)
        | Failure::BadCommand(_)
        | Failure::KeyReused
        | Failure::NoOutcome
        | Failure::EventsTooLarge { .. }
        | Failure::Bug(_) => AggregateError::UnexpectedError(Box::new(failure)),
    }
}
