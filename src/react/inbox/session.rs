//! One membership: messages in, commands to the writers, answers out, in the order of the messages.
//!
//! One half takes messages and sends their commands, as many at once as there is room for, and one
//! of each aggregate; the other waits for the outcomes in order, sends what stood in line behind
//! them, sends the answers, and says what is done. A command that cannot be done now is tried
//! again, and no further message is taken meanwhile.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot, watch};

use crate::contract::{Offset, Partition};
use crate::log::Partitions;
use crate::ports::{Intake, Message, Progress, Received};
use crate::write::{CommandError, FullPartitions};

use super::again::{Again, again};
use super::lines::{Lines, Standing, Turn};
use super::wanted::{Begun, Settled, Wanted};
use super::{Ended, Inbox, Outcome};

/// Messages that are taken at once.
const TAKEN_LEN_MAX: usize = 256;
/// Answers that are sent at once.
const ANSWERS_LEN_MAX: usize = 1_024;
/// Before a command is tried again, at first and at most.
const AGAIN_DELAY: Duration = Duration::from_millis(20);
const AGAIN_DELAY_MAX: Duration = Duration::from_secs(1);

pub(super) struct Session<'a> {
    inbox: &'a Inbox,
    results: Partitions,
    progress: Arc<dyn Progress>,
    /// Whether a command is being tried again.
    halted: watch::Sender<bool>,
    /// Commands that may still be sent.
    room: Arc<Semaphore>,
    lines: Lines,
}

/// A message that was taken.
enum Taken {
    Settled(Box<Settled>),
    Begun(Begun),
    /// It is sent when the one before it, which is settled before it, has its outcome.
    Stands(oneshot::Receiver<Begun>),
}

/// A message that was taken, and the room that it takes until its outcome is known.
struct UnderWay {
    taken: Taken,
    room: OwnedSemaphorePermit,
}

impl Taken {
    /// Whether its outcome is there.
    fn is_ready(&mut self) -> bool {
        if let Self::Stands(begun) = self {
            let Ok(begun) = begun.try_recv() else { return false };
            *self = Self::Begun(begun);
        }
        match self {
            Self::Settled(_) => true,
            Self::Begun(begun) => begun.is_ready(),
            Self::Stands(_) => false,
        }
    }
}

/// Answers that go out together, and what is done with them.
#[derive(Default)]
struct Answers {
    messages: Vec<(Partition, Message)>,
    next: BTreeMap<Partition, Offset>,
    problems: u64,
}

impl<'a> Session<'a> {
    pub(super) fn new(inbox: &'a Inbox, results: Partitions, progress: Arc<dyn Progress>) -> Self {
        let room = Arc::new(Semaphore::new(inbox.0.parts.in_flight_max));
        let (halted, lines) = (watch::Sender::new(false), Lines::default());
        Self { inbox, results, progress, halted, room, lines }
    }

    /// Runs until it cannot go on.
    pub(super) async fn run(self, member: &mut dyn Intake) -> Ended {
        // As long as there is room, so that only the semaphore bounds what is under way.
        let (give, under_way) = mpsc::channel(self.inbox.0.parts.in_flight_max);
        let Err(ended) = tokio::try_join!(self.take_all(member, give), self.settle_all(under_way));
        ended
    }

    async fn take_all(
        &self,
        member: &mut dyn Intake,
        give: mpsc::Sender<UnderWay>,
    ) -> Result<Infallible, Ended> {
        let mut halted = self.halted.subscribe();
        let mut full = FullPartitions::default();
        loop {
            for received in member.next(TAKEN_LEN_MAX).await? {
                let room = self.room.clone().acquire_owned().await.expect("it is never closed");
                // The sender is in `self`, so it cannot be gone.
                drop(halted.wait_for(|halted| !halted).await);
                let taken = self.take(&received, &mut full).await?;
                self.inbox.tell(|status| status.in_flight += 1);
                // The other half ends only together with this one.
                let _ = give.send(UnderWay { taken, room }).await;
            }
        }
    }

    /// Takes one message.
    async fn take(&self, received: &Received, full: &mut FullPartitions) -> Result<Taken, Ended> {
        let parts = &self.inbox.0.parts;
        match Wanted::read(parts.wording.as_ref(), parts.topic.name(), received) {
            Err(settled) => Ok(Taken::Settled(settled)),
            Ok(wanted) => match self.lines.stand(wanted) {
                Turn::Now(wanted) => Ok(Taken::Begun(self.begin(wanted, full).await?)),
                Turn::Later(begun) => Ok(Taken::Stands(begun)),
            },
        }
    }

    /// Sends a command, as often as it takes for the writer to take it.
    async fn begin(&self, wanted: Box<Wanted>, full: &mut FullPartitions) -> Result<Begun, Ended> {
        let mut delay = AGAIN_DELAY;
        loop {
            let sent = wanted.send(&self.inbox.0.parts.commands, full).await;
            match sent.as_ref().err().map(|error| (again(error, 1), error)) {
                Some((Again::Later, _)) => self.pause(&mut delay).await,
                Some((Again::Elsewhere, error)) => return Err(elsewhere(error)),
                Some((Again::Never, _)) | None => return Ok(Begun { wanted, sent }),
            }
        }
    }

    async fn settle_all(
        &self,
        mut under_way: mpsc::Receiver<UnderWay>,
    ) -> Result<Infallible, Ended> {
        let mut left = None;
        loop {
            let mut next = match left.take() {
                Some(left) => Some(left),
                None => under_way.recv().await,
            };
            let mut answers = Answers::default();
            while let Some(mut one) = next.take() {
                // What is ready goes out before anything is waited for.
                if !answers.messages.is_empty() && !one.taken.is_ready() {
                    left = Some(one);
                    break;
                }
                self.settle(one.taken, &mut answers).await?;
                drop(one.room);
                if answers.messages.len() >= ANSWERS_LEN_MAX {
                    break;
                }
                next = under_way.try_recv().ok();
            }
            self.send(answers).await?;
        }
    }

    /// Waits for the outcome of a message, and writes its answer.
    async fn settle(&self, taken: Taken, answers: &mut Answers) -> Result<(), Ended> {
        let Settled { place, command_id, outcome } = match taken {
            Taken::Settled(settled) => *settled,
            Taken::Begun(begun) => self.settle_command(begun).await?,
            Taken::Stands(begun) => {
                let begun = begun.await.expect("the one before it is settled");
                self.settle_command(begun).await?
            }
        };
        let value = self.inbox.0.parts.wording.answer(place, &command_id, &outcome);
        let key = command_id.as_str();
        let message = Message {
            key: Some(Bytes::from(key.to_owned())),
            headers: vec![("content-type".to_owned(), Bytes::from_static(b"application/json"))],
            value: value.into(),
        };
        answers.messages.push((self.results.of(key), message));
        answers.problems += u64::from(!matches!(outcome, Outcome::Done(_)));
        answers.next.insert(place.partition, place.offset.next());
        Ok(())
    }

    /// Waits for the outcome of a command, and tries again as long as that may help. Then it is
    /// the turn of the one behind it.
    async fn settle_command(&self, begun: Begun) -> Result<Settled, Ended> {
        let Begun { wanted, mut sent } = begun;
        let (mut attempts, mut delay) = (1, AGAIN_DELAY);
        let outcome = loop {
            let outcome = match sent {
                Ok(sent) => sent.outcome().await,
                Err(error) => Err(error),
            };
            let error = match outcome {
                Ok(done) => break Outcome::Done(Box::new(done)),
                Err(error) => error,
            };
            match again(&error, attempts) {
                Again::Never => break Outcome::Undone(error),
                Again::Elsewhere => return Err(elsewhere(&error)),
                Again::Later => {}
            }
            self.halted.send_replace(true);
            self.pause(&mut delay).await;
            let commands = &self.inbox.0.parts.commands;
            sent = wanted.send(commands, &mut FullPartitions::default()).await;
            attempts += u32::from(sent.is_ok());
        };
        self.halted.send_replace(false);
        if let Some(Standing { wanted, begun }) = self.lines.next(&wanted.aggregate()) {
            let sent = self.begin(wanted, &mut FullPartitions::default()).await?;
            // The half that waits for it is this one.
            let _ = begun.send(sent);
        }
        let Wanted { place, command_id, .. } = *wanted;
        Ok(Settled { place, command_id, outcome })
    }

    /// Only what has a durable answer is done.
    async fn send(&self, answers: Answers) -> Result<(), Ended> {
        let Answers { messages, next, problems } = answers;
        let count = messages.len() as u64;
        self.inbox.0.parts.results.send(messages).await?;
        for (&partition, &next) in &next {
            self.progress.done(partition, next);
        }
        self.inbox.tell(|status| {
            status.in_flight = status.in_flight.saturating_sub(count);
            status.answered += count;
            status.problems += problems;
            status.next.extend(next);
        });
        Ok(())
    }

    async fn pause(&self, delay: &mut Duration) {
        self.inbox.tell(|status| status.repeated += 1);
        tokio::time::sleep(*delay).await;
        *delay = (2 * *delay).min(AGAIN_DELAY_MAX);
    }
}

fn elsewhere(error: &CommandError) -> Ended {
    Ended::Elsewhere(error.to_string())
}
