//! The way in: finds the aggregate's partition and hands the command to its writer.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};
use uuid::Uuid;

use crate::config::WriteConfig;
use crate::contract::{Aggregate, InvalidKey, Key, Partition, Target, Time};
use crate::events::{CommandId, Metadata, to_wire};
use crate::gate::Gate;
use crate::log::Checks;
use crate::ports::{EventLog, Ids, Tails, ViewStore};
use crate::shutdown::Shutdown;

use super::decided::Recall;
use super::done::Done;
use super::expected::Expected;
use super::failure::{CommandError, Failure};
use super::identity::Identity;
use super::kind::{AnyKind, Kinds};
use super::measured::WriteMeasures;
use super::order::Order;
use super::queue::Queue;
use super::status::{StatusCell, WriterStatus};
use super::ticket::{Answer, Custody, GivenUp, Ticket};
use super::turns::Turn;
use super::writer::{Shared, Writer};

/// Sends commands. Cheap to clone.
///
/// ```
/// use retell::{Key, Version, app::App, write::SendOptions};
/// # use retell::doc::Light;
///
/// # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let app = App::ephemeral().aggregate::<Light>(()).build().await?;
/// app.ready().await;
/// let (hall, json) = (Key::new("hall")?, r#"{"type":"SwitchOn"}"#.into());
/// let done = app.commands().submit("light", &hall, json, SendOptions::default()).await?;
/// assert_eq!(done.version, Version(1));
/// # app.stop().await; Ok(()) }
/// ```
#[derive(Clone)]
pub struct Commands(Arc<Inner>);

struct Inner {
    shared: Arc<Shared>,
    queues: Vec<Queue>,
    request_timeout: Duration,
}

/// What the write loop is made of.
///
/// ```
/// # use std::{sync::Arc, time::Duration};
/// # use retell::adapters::{SystemClock, memory::{MemoryLog, MemoryViews}};
/// # use retell::{gate::{Gate, GateState}, log::{Checks, Partitions}, ports::{Ids, Tails}};
/// use retell::write::{Commands, Identity, Kinds, WriteParts};
/// # #[tokio::main] async fn main() {
/// # let (clock, gate) = (Arc::new(SystemClock), Gate::default());
/// # let (partitions, ids) = (Partitions::new(4).expect("some"), Ids::new(clock.clone()));
/// # let (node, address, instance) = ("a".to_owned(), String::new(), ids.next());
/// gate.set(GateState::Open);
/// let parts = WriteParts {
///     log: Arc::new(MemoryLog::new(partitions, clock.clone())),
///     gate: gate.clone(),
///     store: Arc::new(MemoryViews::new(clock)),
///     store_gate: gate,
///     kinds: Kinds::default(),
///     ids,
///     identity: Identity { node, instance, address, policies: Vec::new() },
///     config: retell::config::Config::defaults().write,
///     request_timeout: Duration::from_secs(5),
///     tails: Tails::new(partitions),
/// #     checks: Checks::default(),
/// };
/// let (stop, mut tasks) = Default::default();
/// let commands = Commands::start(parts, &stop, &mut tasks);
/// assert_eq!(commands.status().len(), 4);
/// # }
/// ```
pub struct WriteParts {
    /// The log.
    pub log: Arc<dyn EventLog>,
    /// Opens when the log may be written.
    pub gate: Gate,
    /// Where states are stored.
    pub store: Arc<dyn ViewStore>,
    /// Opens when the store may be trusted.
    pub store_gate: Gate,
    /// The aggregate types.
    pub kinds: Kinds,
    /// Where new ids come from.
    pub ids: Ids,
    /// Who this process is.
    pub identity: Identity,
    /// The settings.
    pub config: WriteConfig,
    /// How long a command may take when its sender does not say.
    pub request_timeout: Duration,
    /// Where readers in this process find the newest records.
    pub tails: Tails,
    /// All, unless a test leaves one out.
    #[doc(hidden)]
    pub checks: Checks,
}

/// What a sender may say about a command.
///
/// ```
/// use retell::{app::App, events::CommandId, write::SendOptions};
/// # use retell::doc::{Light, LightCommand};
///
/// # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let app = App::ephemeral().aggregate::<Light>(()).build().await?;
/// app.ready().await;
/// let command_id = Some(CommandId::from_client("order-7")?);
/// let once = SendOptions { command_id, repeatable: true, ..SendOptions::default() };
/// let send = || app.commands().send::<Light>("hall", LightCommand::SwitchOn {}, once.clone());
/// // Sent again under its id, it is not done again.
/// let (first, again) = (send().await?, send().await?);
/// assert!(again.replayed && again.position == first.position);
/// # app.stop().await; Ok(()) }
/// ```
#[derive(Clone, Debug, Default)]
pub struct SendOptions {
    /// The command's id; a new one when there is none.
    pub command_id: Option<CommandId>,
    /// Whether the id may come again: then the first outcome is kept, a refusal too, and given
    /// again. An id that was made for this command alone is not repeatable.
    pub repeatable: bool,
    /// What the aggregate must be, or the command is not decided.
    pub expected: Option<Expected>,
    /// What travels with the command into its record.
    pub metadata: Metadata,
    /// Its place among commands that are sent one behind the other, without waiting.
    pub turn: Option<Turn>,
    /// How long to wait for the outcome, if not as long as `http.request_timeout_ms` says.
    pub timeout: Option<Duration>,
}

impl Commands {
    /// Starts a writer for each partition; they run until `shutdown`, in `tasks`.
    pub fn start(parts: WriteParts, shutdown: &Shutdown, tasks: &mut JoinSet<()>) -> Self {
        let WriteParts { request_timeout, tails, .. } = parts;
        let measures = WriteMeasures::of(&parts.kinds);
        let shared = Arc::new(Shared {
            measures,
            log: parts.log,
            gate: parts.gate,
            store: parts.store,
            store_gate: parts.store_gate,
            kinds: parts.kinds,
            ids: parts.ids,
            identity: parts.identity,
            config: parts.config,
            checks: parts.checks,
        });
        let start = |partition: Partition| {
            let (tickets, inbox) = mpsc::channel(shared.config.queue_len_max);
            let status = StatusCell::default();
            let tail = tails.of(partition);
            let writer = Writer::new(shared.clone(), partition, inbox, status.clone(), tail);
            tasks.spawn(writer.run(shutdown.clone()));
            Queue { tickets, status }
        };
        let queues = shared.log.partitions().iter().map(start).collect();
        Self(Arc::new(Inner { shared, queues, request_timeout }))
    }

    /// Sends a command to the aggregate with this id.
    ///
    /// # Errors
    /// The aggregate refused, or something was in the way; see [`Failure`].
    pub async fn send<A: Aggregate>(
        &self,
        id: &str,
        command: A::Command,
        options: SendOptions,
    ) -> Result<Done, CommandError<A::Error>>
    where
        A::Command: Serialize,
    {
        let id = Key::new(id).map_err(Failure::from)?;
        let json = to_wire(&command).map_err(Failure::Bug)?;
        let done = self.submit(A::TYPE, &id, json, options).await;
        done.map_err(|error| {
            error.map(|error| *error.downcast().expect("a kind's error is its aggregate's"))
        })
    }

    /// Sends a command as JSON: `{"type":"DepositMoney","amount":500}`.
    ///
    /// # Errors
    /// The aggregate refused, or something was in the way; see [`Failure`].
    pub async fn submit(
        &self,
        aggregate_type: &str,
        id: &Key,
        json: Bytes,
        options: SendOptions,
    ) -> Result<Done, CommandError> {
        let begun = Instant::now();
        let answer = async {
            let kind = self.kind(aggregate_type)?;
            let order = kind.parse(json).map_err(Failure::from)?;
            self.hand_over(kind, id, order, options).await
        };
        let answer = answer.await;
        self.measures().command(aggregate_type, begun, &answer);
        answer
    }

    /// The first outcome of the command with this id, if there is one: what it did, or
    /// [`CommandError::RefusedBefore`]. Waits for one that is under way.
    ///
    /// # Errors
    /// It was refused, or something is in the way; see [`Failure`].
    pub async fn outcome(
        &self,
        aggregate_type: &str,
        id: &Key,
        command_id: CommandId,
    ) -> Result<Option<Done>, CommandError> {
        let kind = self.kind(aggregate_type)?;
        let order = Order::of("Recall".to_owned(), Bytes::new(), Recall);
        let command_id = Some(command_id);
        let options = SendOptions { command_id, repeatable: true, ..SendOptions::default() };
        match self.hand_over(kind, id, order, options).await {
            Err(CommandError::Failed(Failure::NoOutcome)) => Ok(None),
            answer => answer.map(Some),
        }
    }

    /// Hands an order to the writer of its aggregate, and waits for the answer.
    pub(super) async fn hand_over(
        &self,
        kind: Arc<dyn AnyKind>,
        id: &Key,
        mut order: Order,
        options: SendOptions,
    ) -> Result<Done, CommandError> {
        order.expected = options.expected;
        let (target, partition) = self.place(kind.as_ref(), id);
        let queue = self.queue(partition);
        queue.check(partition)?;
        let deadline = Instant::now() + options.timeout.unwrap_or(self.0.request_timeout);
        let (reply, mut answer) = oneshot::channel();
        let custody = Custody::default();
        let ticket = self.ticket(target, kind, order, options, custody.clone(), reply);
        queue.tickets.try_send(ticket).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => Failure::QueueFull { partition: partition.0 },
            mpsc::error::TrySendError::Closed(_) => queue.closed(partition),
        })?;
        self.answered(partition, &mut answer, &custody, deadline).await
    }

    /// Waits for the answer to a command that is in the queue of this partition's writer.
    pub(super) async fn answered(
        &self,
        partition: Partition,
        answer: &mut oneshot::Receiver<Answer>,
        custody: &Custody,
        deadline: Instant,
    ) -> Answer {
        let answer = timeout_at(deadline, answer).await;
        match answer {
            Ok(Ok(answer)) => answer,
            // The writer is gone with the ticket, or still has it.
            Ok(Err(_)) | Err(_) => Err(match custody.give_up() {
                GivenUp::Taken => Failure::OutcomeUnknown,
                GivenUp::PutOff(wait) => wait.too_long(partition),
                GivenUp::Queued if answer.is_ok() => Failure::ShuttingDown,
                GivenUp::Queued => self.queue(partition).too_late(partition),
            }
            .into()),
        }
    }

    /// A new id for a command that came without one.
    #[must_use]
    pub fn new_command_id(&self) -> CommandId {
        CommandId::generated(self.new_id())
    }

    /// A new id of this moment.
    #[must_use]
    pub fn new_id(&self) -> Uuid {
        self.0.shared.ids.next()
    }

    /// All aggregate types.
    pub fn kinds(&self) -> impl Iterator<Item = &Arc<dyn AnyKind>> {
        self.0.shared.kinds.iter()
    }

    /// Where each partition's writer stands, by partition.
    #[must_use]
    pub fn status(&self) -> Vec<WriterStatus> {
        self.0.queues.iter().map(|queue| queue.status.get()).collect()
    }

    /// The type of an aggregate, its name in the log, and the partition that it lives in.
    ///
    /// # Errors
    /// There is no such type.
    pub fn home(
        &self,
        aggregate_type: &str,
        id: &Key,
    ) -> Result<(Arc<dyn AnyKind>, Target, Partition), Failure> {
        let kind = self.kind(aggregate_type)?;
        let (target, partition) = self.place(kind.as_ref(), id);
        Ok((kind, target, partition))
    }

    /// An aggregate's name in the log, and its partition.
    pub(super) fn place(&self, kind: &dyn AnyKind, id: &Key) -> (Target, Partition) {
        let target = Target::new(kind.name(), id);
        let partition = self.0.shared.log.partitions().of(&kind.partition_by(&target));
        (target, partition)
    }

    pub(super) fn measures(&self) -> &WriteMeasures {
        &self.0.shared.measures
    }

    pub(super) fn queue(&self, partition: Partition) -> &Queue {
        &self.0.queues[partition.0 as usize]
    }

    pub(super) fn queues(&self) -> impl Iterator<Item = &Queue> {
        self.0.queues.iter()
    }

    /// The time, by the clock of those who decide.
    #[must_use]
    pub fn now(&self) -> Time {
        self.0.shared.ids.now()
    }

    pub(super) fn log(&self) -> &Arc<dyn EventLog> {
        &self.0.shared.log
    }

    pub(super) fn request_timeout(&self) -> Duration {
        self.0.request_timeout
    }

    pub(super) fn kind(&self, aggregate_type: &str) -> Result<Arc<dyn AnyKind>, Failure> {
        let kind = self.0.shared.kinds.get(aggregate_type);
        kind.cloned().ok_or_else(|| Failure::UnknownAggregate(aggregate_type.to_owned()))
    }

    pub(super) fn ticket(
        &self,
        target: Target,
        kind: Arc<dyn AnyKind>,
        order: Order,
        options: SendOptions,
        custody: Custody,
        reply: oneshot::Sender<Answer>,
    ) -> Ticket {
        let command_id = options.command_id.unwrap_or_else(|| self.new_command_id());
        let SendOptions { repeatable, metadata, turn, .. } = options;
        Ticket {
            recall: order.other::<Recall>().is_some(),
            target,
            kind,
            order,
            command_id,
            repeatable,
            first: None,
            metadata,
            turn,
            attempts: 0,
            custody,
            reply,
        }
    }
}

impl From<InvalidKey> for Failure {
    fn from(error: InvalidKey) -> Self {
        Self::BadId(error)
    }
}
