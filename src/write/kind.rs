//! An aggregate type as the writer sees it: without its Rust types.

use std::any::{Any, TypeId};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use bytes::Bytes;
use cqrs_es::event_sink::EventSink;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};

use crate::contract::{Aggregate, EventOf, Name, Refusal, Target, schema_of};
use crate::events::{StoredEvent, Undecodable, decode, encode, known_schema, variant_names};
use crate::ports::Ids;

use super::decided::{Decided, Look};
use super::failure::{AnyError, Failure};
use super::order::{BadCommand, Order};

/// The state of an aggregate of any type. Shared, never changed: a decision works on a clone.
///
/// ```
/// # use std::sync::Arc;
/// use retell::write::{AnyKind, Kind, State};
/// # use retell::{Name, adapters::SystemClock, ports::Ids};
/// # use retell::doc::Light;
///
/// # let ids = Ids::new(Arc::new(SystemClock));
/// let kind = Kind::<Light>::new(Name::new("light")?, (), ids);
/// let state: State = kind.decode_state(r#"{"on":true}"#)?;
/// assert!(state.is::<Light>());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub type State = Arc<dyn Any + Send + Sync>;

/// What an aggregate decided.
///
/// ```
/// # use std::sync::Arc;
/// use retell::write::{AnyKind, Kind, Verdict};
/// # use retell::{Name, adapters::SystemClock, ports::Ids};
/// # use retell::doc::Light;
///
/// # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let ids = Ids::new(Arc::new(SystemClock));
/// let kind = Arc::new(Kind::<Light>::new(Name::new("light")?, (), ids));
/// let on = kind.decode_state(r#"{"on":true}"#)?;
/// let mut order = kind.parse(r#"{"type":"SwitchOn"}"#.into())?;
/// match kind.decide(Some(on), &mut order).await? {
///     Verdict::Refused { refusal, .. } => assert_eq!(refusal.code, "is_on"),
///     Verdict::Events { .. } => panic!("the light is on"),
/// }
/// # Ok(()) }
/// ```
pub enum Verdict {
    /// These events happen.
    Events {
        /// The state after them.
        state: State,
        /// In order; may be empty.
        events: Vec<StoredEvent<'static>>,
    },
    /// Nothing happens.
    Refused {
        /// What clients are told.
        refusal: Refusal,
        /// The aggregate's own error.
        error: AnyError,
    },
}

/// An aggregate type without its Rust types.
///
/// ```
/// # use std::sync::Arc;
/// use retell::write::{AnyKind, Kind};
/// # use retell::{Name, adapters::SystemClock, ports::Ids};
/// # use retell::doc::Light;
///
/// # let ids = Ids::new(Arc::new(SystemClock));
/// let kind: Arc<dyn AnyKind> = Arc::new(Kind::<Light>::new(Name::new("light")?, (), ids));
/// assert_eq!(kind.parse(r#"{"type":"SwitchOn"}"#.into())?.name(), "SwitchOn");
/// let off = kind.evolve(None, &[])?;
/// assert_eq!(kind.encode_state(&off)?.get(), r#"{"on":false}"#);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait AnyKind: Send + Sync {
    /// The type's name.
    fn name(&self) -> Name;

    /// The Rust type of its states.
    fn state_type(&self) -> TypeId;

    /// The JSON Schema of its commands.
    fn command_schema(&self) -> Value;

    /// The JSON Schema of its events.
    fn event_schema(&self) -> Value;

    /// The schema number of this event type that this binary writes.
    fn known_event_schema(&self, event_type: &str) -> u32;

    /// Reads a command from the wire: `{"type":"DepositMoney","amount":500}`.
    ///
    /// # Errors
    /// Says where the text is not one of the type's commands.
    fn parse(&self, json: Bytes) -> Result<Order, BadCommand>;

    /// The text whose hash chooses the partition.
    fn partition_by<'a>(&self, target: &'a Target) -> Cow<'a, str>;

    /// Decides on a clone of the state; `None` is an aggregate without events.
    fn decide(self: Arc<Self>, state: Option<State>, order: &mut Order) -> Deciding;

    /// The state after these events.
    ///
    /// # Errors
    /// An event does not decode; the state is lost.
    fn evolve(
        &self,
        state: Option<State>,
        events: &[StoredEvent<'_>],
    ) -> Result<State, Undecodable>;

    /// The schema of the states: [`Aggregate::SCHEMA`].
    fn state_schema(&self) -> u32;

    /// A state as JSON.
    ///
    /// # Errors
    /// It has no JSON.
    fn encode_state(&self, state: &State) -> Result<Box<RawValue>, String>;

    /// The state of this JSON.
    ///
    /// # Errors
    /// It is not that of a state.
    fn decode_state(&self, json: &str) -> Result<State, String>;
}

/// A decision under way. A panic of the aggregate is a [`Failure::Bug`].
///
/// ```
/// # use std::sync::Arc;
/// use retell::write::{AnyKind, Deciding, Kind, Verdict};
/// # use retell::{Name, adapters::SystemClock, ports::Ids};
/// # use retell::doc::Light;
///
/// # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let ids = Ids::new(Arc::new(SystemClock));
/// let kind = Arc::new(Kind::<Light>::new(Name::new("light")?, (), ids));
/// let mut order = kind.parse(r#"{"type":"SwitchOn"}"#.into())?;
/// let deciding: Deciding = kind.decide(None, &mut order);
/// let Verdict::Events { events, .. } = deciding.await? else { panic!("the light is off") };
/// assert_eq!(events[0].event_type, "SwitchedOn");
/// # Ok(()) }
/// ```
pub type Deciding = BoxFuture<'static, Result<Verdict, Failure>>;

/// All aggregate types of an application, by name.
///
/// ```
/// # use std::sync::Arc;
/// use retell::write::{Kind, Kinds};
/// # use retell::{Name, adapters::SystemClock, ports::Ids};
/// # use retell::doc::Light;
///
/// # let (ids, name) = (Ids::new(Arc::new(SystemClock)), Name::new("light")?);
/// let (mut kinds, light) = (Kinds::default(), Arc::new(Kind::<Light>::new(name, (), ids)));
/// assert_eq!(kinds.add(light.clone()), Ok(()));
/// assert_eq!(kinds.add(light), Err(name));
/// assert!(kinds.get("light").is_some());
/// # Ok::<(), retell::InvalidName>(())
/// ```
#[derive(Clone, Default)]
pub struct Kinds(BTreeMap<&'static str, Arc<dyn AnyKind>>);

/// An aggregate type with the services that its decisions use.
///
/// ```
/// # use std::sync::Arc;
/// use retell::write::{AnyKind, Kind};
/// # use retell::{Name, adapters::SystemClock, ports::Ids};
/// # use retell::doc::Light;
///
/// # let ids = Ids::new(Arc::new(SystemClock));
/// let kind = Kind::<Light>::new(Name::new("light")?, (), ids);
/// assert_eq!((kind.name().as_str(), kind.known_event_schema("SwitchedOn")), ("light", 1));
/// # Ok::<(), retell::InvalidName>(())
/// ```
pub struct Kind<A: Aggregate> {
    name: Name,
    commands: Vec<String>,
    services: A::Services,
    ids: Ids,
}

impl Kinds {
    /// Adds a type; gives it back when its name is taken.
    ///
    /// # Errors
    /// The name that is taken.
    pub fn add(&mut self, kind: Arc<dyn AnyKind>) -> Result<(), Name> {
        let name = kind.name();
        match self.0.insert(name.as_str(), kind) {
            None => Ok(()),
            Some(_) => Err(name),
        }
    }

    /// The type of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Arc<dyn AnyKind>> {
        self.0.get(name)
    }

    /// Each type, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<dyn AnyKind>> {
        self.0.values()
    }
}

impl<A: Aggregate> Kind<A> {
    /// The type under its name.
    #[must_use]
    pub fn new(name: Name, services: A::Services, ids: Ids) -> Self {
        let commands = variant_names(&schema_of::<A::Command>()).map(str::to_owned).collect();
        Self { name, commands, services, ids }
    }

    async fn run(&self, state: Option<State>, command: A::Command) -> Result<Verdict, Failure> {
        let mut aggregate = state.as_ref().map_or_else(A::default, |state| of::<A>(state).clone());
        let sink = EventSink::default();
        if let Err(error) = aggregate.handle(command, &self.services, &sink).await {
            return Ok(Verdict::Refused { refusal: A::refusal(&error), error: Box::new(error) });
        }
        let events = sink.collect().await;
        self.verdict(aggregate, &events)
    }

    /// What was decided elsewhere happens here too.
    fn adopt(&self, state: Option<&State>, events: &[EventOf<A>]) -> Result<Verdict, Failure> {
        let mut aggregate = state.map_or_else(A::default, |state| of::<A>(state).clone());
        events.iter().for_each(|event| aggregate.apply(event.clone()));
        self.verdict(aggregate, events)
    }

    fn verdict(&self, aggregate: A, events: &[EventOf<A>]) -> Result<Verdict, Failure> {
        // Most commands have one event: a collected result would take room for four.
        let mut encoded = Vec::with_capacity(events.len());
        for event in events {
            let event = encode::<A>(self.ids.next(), event);
            encoded.push(event.map_err(|error| Failure::Bug(error.to_string()))?);
        }
        Ok(Verdict::Events { state: Arc::new(aggregate), events: encoded })
    }
}

impl<A: Aggregate> AnyKind for Kind<A> {
    fn name(&self) -> Name {
        self.name
    }

    fn state_type(&self) -> TypeId {
        TypeId::of::<A>()
    }

    fn command_schema(&self) -> Value {
        schema_of::<A::Command>()
    }

    fn event_schema(&self) -> Value {
        schema_of::<A::Event>()
    }

    fn known_event_schema(&self, event_type: &str) -> u32 {
        known_schema::<A>(event_type)
    }

    fn parse(&self, json: Bytes) -> Result<Order, BadCommand> {
        Order::parse::<A::Command>(self.name.as_str(), &self.commands, json)
    }

    fn partition_by<'a>(&self, target: &'a Target) -> Cow<'a, str> {
        A::partition_by(target.id()).unwrap_or(Cow::Borrowed(target.as_str()))
    }

    fn decide(self: Arc<Self>, state: Option<State>, order: &mut Order) -> Deciding {
        if let Some(Decided(events)) = order.other::<Decided<A>>() {
            let events = events.clone();
            return guarded(async move { self.adopt(state.as_ref(), &events) });
        }
        if let Some(look) = order.other::<Look>() {
            let state = state.unwrap_or_else(|| Arc::new(A::default()));
            look.show(state.clone());
            return guarded(async move { Ok(Verdict::Events { state, events: Vec::new() }) });
        }
        let command = order.take::<A::Command>();
        guarded(async move { self.run(state, command).await })
    }

    fn evolve(
        &self,
        state: Option<State>,
        events: &[StoredEvent<'_>],
    ) -> Result<State, Undecodable> {
        let mut aggregate = match state {
            // The only owner works in place: folding a long history clones nothing.
            Some(state) => {
                Arc::try_unwrap(downcast::<A>(state)).unwrap_or_else(|shared| A::clone(&shared))
            }
            None => A::default(),
        };
        for event in events {
            aggregate.apply(decode::<A>(event)?);
        }
        Ok(Arc::new(aggregate))
    }

    fn state_schema(&self) -> u32 {
        A::SCHEMA
    }

    fn encode_state(&self, state: &State) -> Result<Box<RawValue>, String> {
        let encoded = catch_unwind(AssertUnwindSafe(|| to_raw_value(of::<A>(state))));
        let encoded = encoded.map_err(|panic| panic_message(&*panic))?;
        encoded.map_err(|error| error.to_string())
    }

    fn decode_state(&self, json: &str) -> Result<State, String> {
        let decoded = catch_unwind(|| serde_json::from_str::<A>(json));
        let decoded = decoded.map_err(|panic| panic_message(&*panic))?;
        decoded.map(|state| Arc::new(state) as State).map_err(|error| error.to_string())
    }
}

/// A decision whose panic is a bug of the aggregate, and no more.
fn guarded(deciding: impl Future<Output = Result<Verdict, Failure>> + Send + 'static) -> Deciding {
    Box::pin(async move {
        let verdict = AssertUnwindSafe(deciding).catch_unwind().await;
        verdict.unwrap_or_else(|panic| Err(Failure::Bug(panic_message(&*panic))))
    })
}

/// What a panic said.
fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    format!("panic: {}", text.as_deref().unwrap_or("no message"))
}

fn of<A: Aggregate>(state: &State) -> &A {
    state.downcast_ref().expect("a state stays with the type that made it")
}

fn downcast<A: Aggregate>(state: State) -> Arc<A> {
    state.downcast().unwrap_or_else(|_| unreachable!("a state stays with the type that made it"))
}
