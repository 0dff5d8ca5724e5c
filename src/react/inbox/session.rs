//! One membership: messages in, commands to the writers, answers out, in the order of the messages.
//!
//! One part takes messages, as many at once as there is room for; one does their commands, of each
//! aggregate in their order; one waits for what became of the messages, in their order, and writes
//! the answers; one sends these, and says what is done. None waits for another but for room.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use crate::contract::{Offset, Partition};
use crate::log::Partitions;
use crate::ports::{Intake, Message, Progress, Received};
use crate::write::{CommandError, FullPartitions, Sent, Turns};

use super::again::{Again, again};
use super::lines::{Lines, Standing};
use super::wanted::{Settled, Wanted};
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
    /// Messages that may still be taken.
    room: Arc<Semaphore>,
    lines: Lines,
}

/// A message that was taken, and the room that it takes until it is answered.
struct Taken {
    settled: oneshot::Receiver<Settled>,
    room: OwnedSemaphorePermit,
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
        Self { inbox, results, progress, room, lines: Lines::default() }
    }

    /// Runs until it cannot go on.
    pub(super) async fn run(self, member: &mut dyn Intake) -> Ended {
        // As long as there is room, so that only the semaphore bounds what is under way.
        let (take, taken) = mpsc::channel(self.inbox.0.parts.in_flight_max);
        let (begin, begun) = mpsc::channel(self.inbox.0.parts.in_flight_max);
        // What is settled while answers are sent goes out together after them.
        let (answer, answered) = mpsc::channel(1);
        let Err(ended) = tokio::try_join!(
            self.take_all(member, take, begin),
            self.do_all(begun),
            self.answer_all(taken, answer),
            self.send_all(answered)
        );
        ended
    }

    async fn take_all(
        &self,
        member: &mut dyn Intake,
        take: mpsc::Sender<Taken>,
        begin: mpsc::Sender<Standing>,
    ) -> Result<Infallible, Ended> {
        loop {
            for received in member.next(TAKEN_LEN_MAX).await? {
                let room = self.room.clone().acquire_owned().await.expect("it is never closed");
                let (tell, settled) = oneshot::channel();
                let first = self.take(&received, tell);
                self.inbox.tell(|status| status.in_flight += 1);
                // The other parts end only together with this one.
                let _ = take.send(Taken { settled, room }).await;
                if let Some(first) = first {
                    let _ = begin.send(first).await;
                }
            }
        }
    }

    /// Takes one message. Its command, if it is the first of its aggregate, is to be begun.
    fn take(&self, received: &Received, settled: oneshot::Sender<Settled>) -> Option<Standing> {
        let parts = &self.inbox.0.parts;
        match Wanted::read(parts.wording.as_ref(), parts.topic.name(), received) {
            Ok(wanted) => self.lines.stand(Standing { wanted, settled }),
            Err(without) => {
                // Who waits for it is the part that answers, which is there.
                let _ = settled.send(*without);
                None
            }
        }
    }

    /// Does the commands of all aggregates, side by side.
    async fn do_all(&self, mut begun: mpsc::Receiver<Standing>) -> Result<Infallible, Ended> {
        let mut lines = FuturesUnordered::new();
        loop {
            tokio::select! {
                Some(first) = begun.recv() => lines.push(self.do_line(first)),
                Some(ended) = lines.next() => ended?,
            }
        }
    }

    /// Does a command, and then those of its aggregate that have come to stand in line behind it.
    async fn do_line(&self, first: Standing) -> Result<(), Ended> {
        let aggregate = first.wanted.aggregate.clone();
        let mut some = vec![first];
        while !some.is_empty() {
            self.do_some(some).await?;
            some = self.lines.take(&aggregate);
        }
        Ok(())
    }

    /// Does some commands of one aggregate: sends all, each with its turn, and then waits for what
    /// becomes of each. One that was not decided keeps the turn from those behind it, so they are
    /// sent again when it has its outcome.
    async fn do_some(&self, some: Vec<Standing>) -> Result<(), Ended> {
        let commands = &self.inbox.0.parts.commands;
        let (mut turns, mut full) = (Turns::default(), FullPartitions::default());
        let mut under_way = Vec::with_capacity(some.len());
        for Standing { wanted, settled } in some {
            let sent = wanted.send(commands, Some(turns.issue()), &mut full).await;
            under_way.push((wanted, settled, sent));
        }
        for (wanted, settled, sent) in under_way {
            let outcome = self.outcome(&wanted, sent).await?;
            let Wanted { place, command_id, .. } = *wanted;
            // Who waits for it is the part that answers, which is there.
            let _ = settled.send(Settled { place, command_id, outcome });
        }
        Ok(())
    }

    /// Waits for the outcome of a command, and sends it again as long as that may help.
    async fn outcome(
        &self,
        wanted: &Wanted,
        mut sent: Result<Sent, CommandError>,
    ) -> Result<Outcome, Ended> {
        let (mut attempts, mut delay) = (0, AGAIN_DELAY);
        loop {
            attempts += u32::from(sent.is_ok());
            let outcome = match sent {
                Ok(sent) => sent.outcome().await,
                Err(error) => Err(error),
            };
            let error = match outcome {
                Ok(done) => return Ok(Outcome::Done(Box::new(done))),
                Err(error) => error,
            };
            match again(&error, attempts) {
                Again::Never => return Ok(Outcome::Undone(error)),
                Again::Elsewhere => return Err(Ended::Elsewhere(error.to_string())),
                Again::AtOnce => attempts -= 1,
                Again::Later => {
                    self.inbox.tell(|status| status.repeated += 1);
                    tokio::time::sleep(delay).await;
                    delay = (2 * delay).min(AGAIN_DELAY_MAX);
                }
            }
            // Alone: all before it have their outcome.
            let full = &mut FullPartitions::default();
            sent = wanted.send(&self.inbox.0.parts.commands, None, full).await;
        }
    }

    /// Writes the answers to all messages, in their order.
    async fn answer_all(
        &self,
        mut taken: mpsc::Receiver<Taken>,
        answer: mpsc::Sender<Answers>,
    ) -> Result<Infallible, Ended> {
        let mut left = None;
        loop {
            let mut next = match left.take() {
                Some(left) => Some(left),
                None => taken.recv().await,
            };
            let mut answers = Answers::default();
            while let Some(mut one) = next.take() {
                // What is settled goes out before anything is waited for.
                if !answers.messages.is_empty() && one.settled.is_empty() {
                    left = Some(one);
                    break;
                }
                let settled = (&mut one.settled).await.expect("its line goes on to its end");
                self.answer(settled, &mut answers);
                drop(one.room);
                if answers.messages.len() >= ANSWERS_LEN_MAX {
                    break;
                }
                next = taken.try_recv().ok();
            }
            // The other parts end only together with this one.
            let _ = answer.send(answers).await;
        }
    }

    async fn send_all(&self, mut answered: mpsc::Receiver<Answers>) -> Result<Infallible, Ended> {
        loop {
            let answers = answered.recv().await.expect("the other parts end together with this");
            self.send(answers).await?;
        }
    }

    fn answer(&self, settled: Settled, answers: &mut Answers) {
        let Settled { place, command_id, outcome } = settled;
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
}
