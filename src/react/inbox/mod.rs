//! The inbox: commands that others write to a topic, done once each and answered in another.
//!
//! A message is done when its answer is durable; only then does its group move on. So a crash, or
//! a partition that moves to another node, repeats messages and loses none; a command that is
//! repeated has its first outcome again, because its id is the same.

mod again;
mod lines;
mod session;
mod wanted;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use schemars::JsonSchema;
use serde::Serialize;
use tokio::task::JoinSet;

use crate::contract::{Offset, Partition, Position};
use crate::events::{BadEnvelope, CommandId, Metadata};
use crate::ports::{LogError, PlainTopic};
use crate::shutdown::Shutdown;
use crate::write::{CommandError, Commands, Done, Ownership, WriterStatus};

use session::Session;

/// Between two looks whether this node writes again.
const LOOK_AGAIN: Duration = Duration::from_millis(200);
/// Before an inbox that failed tries again, at first and at most.
const RETRY_DELAY: Duration = Duration::from_millis(200);
const RETRY_DELAY_MAX: Duration = Duration::from_secs(5);

/// What an inbox is made of.
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
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct BadHeader {
    /// Its name.
    pub name: &'static str,
    /// What it must be.
    pub detail: &'static str,
}

/// What became of a message.
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
#[derive(Clone)]
pub struct Inbox(Arc<Inner>);

struct Inner {
    parts: InboxParts,
    status: Mutex<InboxStatus>,
}

/// How an inbox stands.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct InboxStatus {
    /// Commands that are under way.
    pub in_flight: u64,
    /// Messages answered by this process, problems too.
    pub answered: u64,
    /// Of these, the ones that are problems.
    pub problems: u64,
    /// How often a command could not be done then, and was tried again.
    pub repeated: u64,
    /// By partition of the topic, the first message that is not done: of those that this process
    /// has answered messages of.
    #[serde(skip)]
    pub next: BTreeMap<Partition, Offset>,
    /// What it does.
    #[serde(flatten)]
    pub state: InboxState,
}

/// What an inbox does.
#[derive(Clone, Debug, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum InboxState {
    /// It has not begun.
    Starting,
    /// It is a member of its group and takes what comes.
    Following,
    /// It has left the group to others, because this node does not write all of the log now.
    Elsewhere {
        /// Who writes, or what is under way.
        reason: String,
    },
    /// Something does not answer; it tries again.
    Waiting {
        /// What was said.
        reason: String,
    },
    /// A person must mend a topic; it looks again from time to time.
    Refused {
        /// What is wrong, and how to mend it.
        reason: String,
    },
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
        let status = Mutex::new(InboxStatus {
            in_flight: 0,
            answered: 0,
            problems: 0,
            repeated: 0,
            next: BTreeMap::new(),
            state: InboxState::Starting,
        });
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
