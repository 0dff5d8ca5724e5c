//! A command that is in its writer's queue, or beyond it.
//!
//! Dropping it changes nothing for the command: what was taken is done.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};

use crate::contract::{Key, Name, Partition};

use super::done::Done;
use super::failure::{CommandError, Failure};
use super::handle::{Commands, SendOptions};
use super::ticket::{Answer, Custody};

/// What [`Commands::enqueue`] gives.
///
/// ```
/// use retell::write::{FullPartitions, SendOptions};
/// use retell::{Key, Version, app::App};
/// # use retell::doc::Light;
///
/// # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let app = App::ephemeral().aggregate::<Light>(()).build().await?;
/// app.ready().await;
/// let (hall, json) = (Key::new("hall")?, r#"{"type":"SwitchOn"}"#.into());
/// let (options, full) = (SendOptions::default(), &mut FullPartitions::default());
/// let sent = app.commands().enqueue("light", &hall, json, options, full).await?;
/// assert_eq!(sent.outcome().await?.version, Version(1));
/// # app.stop().await; Ok(()) }
/// ```
pub struct Sent {
    commands: Commands,
    aggregate: Name,
    begun: Instant,
    partition: Partition,
    answer: oneshot::Receiver<Answer>,
    custody: Custody,
    deadline: Instant,
}

/// The partitions for which a sender of many has waited in vain.
///
/// ```
/// use retell::write::{FullPartitions, SendOptions};
/// use retell::{Key, Version, app::App};
/// # use retell::doc::Light;
///
/// # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let app = App::ephemeral().aggregate::<Light>(()).build().await?;
/// app.ready().await;
/// // One for all commands of a sender; they are done in the order in which they are sent.
/// let (hall, mut full, mut sent) = (Key::new("hall")?, FullPartitions::default(), Vec::new());
/// for json in [r#"{"type":"SwitchOn"}"#, r#"{"type":"SwitchOff"}"#] {
///     let options = SendOptions::default();
///     sent.push(app.commands().enqueue("light", &hall, json.into(), options, &mut full).await?);
/// }
/// let last = sent.pop().expect("two were sent");
/// assert_eq!(last.outcome().await?.version, Version(2));
/// # app.stop().await; Ok(()) }
/// ```
#[derive(Debug, Default)]
pub struct FullPartitions(BTreeSet<Partition>);

impl Commands {
    /// Like [`Self::submit`] in two steps: returns once the writer has room for it, before it is
    /// done. Commands of one aggregate that are sent so, each after the one before has returned,
    /// keep their order.
    ///
    /// A sender of many waits in vain for a partition once; after that it is turned away at once
    /// until there is room, so that the others' commands do not wait for those of this one.
    ///
    /// # Errors
    /// It was not taken; see [`Failure`].
    pub async fn enqueue(
        &self,
        aggregate_type: &str,
        id: &Key,
        json: Bytes,
        options: SendOptions,
        full: &mut FullPartitions,
    ) -> Result<Sent, Failure> {
        let (begun, kind) = (Instant::now(), self.kind(aggregate_type)?);
        let aggregate = kind.name();
        let mut order = kind.parse(json)?;
        order.expected = options.expected;
        let (target, partition) = self.place(kind.as_ref(), id);
        let queue = self.queue(partition);
        queue.check(partition)?;
        let patience = options.timeout.unwrap_or(self.request_timeout());
        let for_room = if full.0.contains(&partition) { Duration::ZERO } else { patience };
        let room = match timeout(for_room, queue.tickets.reserve()).await {
            Ok(Ok(room)) => room,
            Ok(Err(_)) => return Err(queue.closed(partition)),
            Err(_) => {
                full.0.insert(partition);
                return Err(queue.too_late(partition));
            }
        };
        full.0.remove(&partition);
        let (reply, answer) = oneshot::channel();
        let custody = Custody::default();
        room.send(self.ticket(target, kind, order, options, custody.clone(), reply));
        let (commands, deadline) = (self.clone(), Instant::now() + patience);
        Ok(Sent { commands, aggregate, begun, partition, answer, custody, deadline })
    }
}

impl Sent {
    /// Whether the answer is there.
    pub fn is_ready(&mut self) -> bool {
        !self.answer.is_empty()
    }

    /// Waits for the answer.
    ///
    /// # Errors
    /// The aggregate refused, or something was in the way; see [`super::Failure`].
    pub async fn outcome(self) -> Result<Done, CommandError> {
        let Self { commands, aggregate, begun, partition, mut answer, custody, deadline } = self;
        let answer = commands.answered(partition, &mut answer, &custody, deadline).await;
        commands.measures().command(aggregate.as_str(), begun, &answer);
        answer
    }
}
