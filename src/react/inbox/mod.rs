//! The inbox: commands that others write to a topic, done once each and answered in another.
//!
//! A message is done when its answer is durable; only then does its group move on. So a crash, or
//! a partition that moves to another node, repeats messages and loses none; a command that is
//! repeated has its first outcome again, because its id is the same.

mod again;
mod lines;
mod session;
mod status;
mod wanted;

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use tokio::task::JoinSet;

use crate::contract::Position;
use crate::events::{BadEnvelope, CommandId, Metadata};
use crate::ports::{LogError, PlainTopic};
use crate::shutdown::Shutdown;
use crate::write::{CommandError, Commands, Done, Ownership, WriterStatus};

use session::Session;

pub use status::{InboxState, InboxStatus};

/// Between two looks whether this node writes again.
const LOOK_AGAIN: Duration = Duration::from_millis(200);
/// Before an inbox that failed tries again, at first and at most.
const RETRY_DELAY: Duration = Duration::from_millis(200);
const RETRY_DELAY_MAX: Duration = Duration::from_secs(5);

/// What an inbox is made of.
///
/// ```
/// # use std::{sync::Arc, time::Duration};
/// # use retell::adapters::{SystemClock, memory::MemoryTopic};
/// # use retell::{Partition, app::App, http::InboxWording, log::Partitions};
/// # use retell::ports::{Message, PlainTopic};
/// use retell::react::inbox::{Inbox, InboxParts};
/// # use retell::doc::Light;
///
/// # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let app = App::ephemeral().aggregate::<Light>(()).build().await?;
/// # let (one, clock) = (Partitions::new(1).expect("some"), Arc::new(SystemClock));
/// let topic = MemoryTopic::new("commands", one, clock.clone());
/// let results = MemoryTopic::new("results", one, clock);
/// let parts = InboxParts {
///     commands: app.commands().clone(),
///     topic: Arc::new(topic.clone()),
///     results: Arc::new(results.clone()),
///     wording: Arc::new(InboxWording),
///     group: "retell".to_owned(),
///     in_flight_max: 16,
/// };
/// let (stop, mut tasks) = Default::default();
/// let inbox = Inbox::start(parts, &stop, &mut tasks);
/// let value = r#"{"aggregate":{"type":"light","id":"hall"},"command":{"type":"SwitchOn"}}"#;
/// let message = Message { value: value.into(), ..Message::default() };
/// topic.send(vec![(Partition(0), message)]).await?;
/// # while results.messages(Partition(0)).is_empty() {
/// #     tokio::time::sleep(Duration::from_millis(5)).await;
/// # }
/// // Its answer comes a moment later.
/// let answer = &results.messages(Partition(0))[0].message;
/// assert_eq!(serde_json::from_slice::<serde_json::Value>(&answer.value)?["status"], 200);
/// # app.stop().await; Ok(()) }
/// ```
pub struct InboxParts {
    /// Where the commands go.
    pub commands: Commands,
    /// Where they come from.
    pub topic: Arc<dyn PlainTopic>,
    /// Where the answers go.
    pub results: Arc<dyn PlainTopic>,
    /// The words of the answers.
    pub wording: Arc<dyn Wording>,
    /// The group of those who share the topic.
    pub group: String,
    /// Commands that are under way at once, at most.
    pub in_flight_max: usize,
}

/// What headers and answers look like: as at the door.
///
/// ```
/// use bytes::Bytes;
/// use retell::Position;
/// use retell::events::{CommandId, Metadata};
/// use retell::react::inbox::{BadHeader, Outcome, Wording};
///
/// /// Looks at no header, and says little.
/// struct Short;
///
/// impl Wording for Short {
///     fn metadata(&self, _: &[(String, Bytes)]) -> Result<Metadata, BadHeader> {
///         Ok(Metadata::default())
///     }
///
///     fn answer(&self, place: Position, _: &CommandId, outcome: &Outcome) -> Vec<u8> {
///         let done = matches!(outcome, Outcome::Done(_));
///         format!(r#"{{"inbox":"{place}","done":{done}}}"#).into_bytes()
///     }
/// }
/// let (wrong, id) = (BadHeader { name: "x", detail: "a number" }, CommandId::from_client("7")?);
/// let answer = Short.answer("0@7".parse()?, &id, &Outcome::BadHeader(wrong));
/// assert_eq!(answer, br#"{"inbox":"0@7","done":false}"#);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Wording: Send + Sync {
    /// What the headers of a message say about its command.
    ///
    /// # Errors
    /// A header that has a meaning is none.
    fn metadata(&self, headers: &[(String, Bytes)]) -> Result<Metadata, BadHeader>;

    /// The answer to the message at this place, as JSON.
    fn answer(&self, place: Position, command_id: &CommandId, outcome: &Outcome) -> Vec<u8>;
}

/// A header of a message that is not what it must be.
///
/// ```
/// use retell::http::InboxWording;
/// use retell::react::inbox::Wording;
///
/// let headers = [("x-correlation-id".to_owned(), "an evening".into())];
/// let bad = InboxWording.metadata(&headers).expect_err("it has a space");
/// assert_eq!(bad.name, "X-Correlation-Id");
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct BadHeader {
    /// Its name.
    pub name: &'static str,
    /// What it must be.
    pub detail: &'static str,
}

/// What became of a message.
///
/// ```
/// use retell::react::inbox::Outcome;
/// use retell::write::{CommandError, Failure};
///
/// /// Whether the same message can be done later.
/// fn is_worth_a_repetition(outcome: &Outcome) -> bool {
///     matches!(outcome, Outcome::Undone(CommandError::Failed(Failure::QueueFull { .. })))
/// }
/// let full = Failure::QueueFull { partition: 5 };
/// assert!(is_worth_a_repetition(&Outcome::Undone(full.into())));
/// assert!(!is_worth_a_repetition(&Outcome::Undone(Failure::KeyReused.into())));
/// ```
#[derive(Debug)]
pub enum Outcome {
    /// Its command was done.
    Done(Box<Done>),
    /// It was refused, or cannot be done.
    Undone(CommandError),
    /// It has none.
    BadEnvelope(BadEnvelope),
    /// It has none that can be done as it is wanted.
    BadHeader(BadHeader),
}

/// Tells of a running inbox. Cheap to clone.
///
/// ```
/// # use std::sync::Arc;
/// # use retell::adapters::{SystemClock, memory::MemoryTopic};
/// # use retell::{app::App, http::InboxWording, log::Partitions};
/// use retell::react::inbox::{Inbox, InboxParts};
///
/// # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let app = App::ephemeral().build().await?;
/// # let (one, clock) = (Partitions::new(1).expect("some"), Arc::new(SystemClock));
/// # let topic = |name| Arc::new(MemoryTopic::new(name, one, clock.clone()));
/// # let (commands, wording) = (app.commands().clone(), Arc::new(InboxWording));
/// # let (topic, results, group) = (topic("commands"), topic("results"), "retell".to_owned());
/// # let parts = InboxParts { commands, topic, results, wording, group, in_flight_max: 16 };
/// # let (stop, mut tasks) = Default::default();
/// let inbox = Inbox::start(parts, &stop, &mut tasks);
/// assert_eq!((inbox.topic().name(), inbox.results()), ("commands", "results"));
/// assert_eq!(inbox.status().answered, 0);
/// # app.stop().await; Ok(()) }
/// ```
#[derive(Clone)]
pub struct Inbox(Arc<Inner>);

struct Inner {
    parts: InboxParts,
    status: Mutex<InboxStatus>,
}

/// Why a session ended.
enum Ended {
    /// This node does not write, or is going down.
    Elsewhere(String),
    Topic(LogError),
}

impl Inbox {
    /// Starts to take commands, until `stop`, in `tasks`.
    pub fn start(parts: InboxParts, stop: &Shutdown, tasks: &mut JoinSet<()>) -> Self {
        let status = Mutex::default();
        let inbox = Self(Arc::new(Inner { parts, status }));
        tasks.spawn(inbox.clone().run(stop.clone()));
        inbox
    }

    /// Where commands come from.
    #[must_use]
    pub fn topic(&self) -> &Arc<dyn PlainTopic> {
        &self.0.parts.topic
    }

    /// The name of the topic of the answers.
    #[must_use]
    pub fn results(&self) -> &str {
        self.0.parts.results.name()
    }

    /// The group.
    #[must_use]
    pub fn group(&self) -> &str {
        &self.0.parts.group
    }

    /// How it stands.
    #[must_use]
    pub fn status(&self) -> InboxStatus {
        self.locked().clone()
    }

    async fn run(self, stop: Shutdown) {
        let mut delay = RETRY_DELAY;
        while !stop.is_requested() {
            let answered = self.locked().answered;
            let Some(ended) = self.session(&stop).await else { return };
            let state = match ended {
                Ended::Elsewhere(reason) => InboxState::Elsewhere { reason },
                Ended::Topic(error) if error.is_retryable() => {
                    InboxState::Waiting { reason: error.to_string() }
                }
                Ended::Topic(error) => InboxState::Refused { reason: error.to_string() },
            };
            self.now(state);
            if self.locked().answered > answered {
                delay = RETRY_DELAY;
            }
            tokio::select! {
                () = tokio::time::sleep(delay) => {}
                () = stop.requested() => {}
            }
            delay = (2 * delay).min(RETRY_DELAY_MAX);
        }
    }

    /// One membership, from joining to leaving; none when the process goes down.
    async fn session(&self, stop: &Shutdown) -> Option<Ended> {
        let parts = &self.0.parts;
        let begun = async {
            self.wait_for_writers().await;
            let (_, results) = tokio::try_join!(parts.topic.check(), parts.results.check())?;
            Ok((parts.topic.join(&parts.group).await?, results))
        };
        let (mut member, results) = tokio::select! {
            begun = begun => match begun {
                Ok(begun) => begun,
                Err(error) => return Some(Ended::Topic(error)),
            },
            () = stop.requested() => return None,
        };
        self.now(InboxState::Following);
        let session = Session::new(self, results, member.progress());
        let ended = tokio::select! {
            ended = session.run(member.as_mut()) => Some(ended),
            () = stop.requested() => None,
        };
        // What is under way is done, and answered by who takes its messages next.
        self.tell(|status| status.in_flight = 0);
        member.leave().await;
        ended
    }

    /// Returns once this node writes all of the log.
    async fn wait_for_writers(&self) {
        loop {
            let writers = self.0.parts.commands.status();
            let other = writers.into_iter().find(|writer| !writer.ownership.is_owner());
            let Some(WriterStatus { ownership, .. }) = other else { return };
            let reason = ownership.to_string();
            match ownership {
                // It will, in a moment.
                Ownership::Recovering | Ownership::Claiming => {}
                Ownership::Deposed { .. } => self.now(InboxState::Elsewhere { reason }),
                _ => self.now(InboxState::Waiting { reason }),
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// Says what is new.
    fn now(&self, state: InboxState) {
        if self.locked().state == state {
            return;
        }
        match &state {
            InboxState::Starting | InboxState::Following => {}
            InboxState::Elsewhere { reason } => {
                tracing::info!(reason, "the inbox is left to others");
            }
            InboxState::Waiting { reason } => tracing::warn!(reason, "the inbox waits"),
            InboxState::Refused { reason } => {
                tracing::error!(reason, "the inbox does not go on");
            }
        }
        self.tell(|status| status.state = state);
    }

    fn tell(&self, with: impl FnOnce(&mut InboxStatus)) {
        with(&mut self.locked());
    }

    fn locked(&self) -> MutexGuard<'_, InboxStatus> {
        self.0.status.lock().expect("nothing panics while it is held")
    }
}

impl From<LogError> for Ended {
    fn from(error: LogError) -> Self {
        Self::Topic(error)
    }
}
