//! What a person asks of a runner: to try again what is held back, to give it up, or, where its
//! place is lost, where to begin.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use crate::contract::{Partition, Start, Time};
use crate::ports::LogError;
use crate::read::{MendError, ParkedId, ParkedSequence, ParkedState, Retried};

use super::mending::Mended;
use super::runner::{Halt, Runner};
use super::start::{Entry, Reacting};
use super::status::PolicyState;

/// Requests that may wait for a runner.
pub(super) const REQUESTS_LEN_MAX: usize = 16;
/// How long one may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is asked.
pub(super) enum Request {
    /// Try this aggregate again now.
    Retry(String, Reply<Retried>),
    /// Give up what is held back of it.
    Discard(String, Reply<ParkedSequence>),
    /// Begin here.
    Begin(Start),
}

pub(super) type Reply<T> = oneshot::Sender<Result<T, MendError>>;

/// Who waits for the end of which retry.
pub(super) type Waiting = BTreeMap<String, Vec<Reply<Retried>>>;

impl Reacting {
    /// Whether a policy holds a sequence back under this id.
    #[must_use]
    pub fn has_parked(&self, id: &ParkedId) -> bool {
        self.find(id).is_some()
    }

    /// Tries a sequence again, in order, up to the first command that cannot be decided still.
    ///
    /// # Errors
    /// See [`MendError`].
    pub async fn retry_parked(&self, id: &ParkedId) -> Result<Retried, MendError> {
        self.ask(id, Request::Retry).await
    }

    /// Gives a sequence up: nothing follows from its records, and what comes later of the same
    /// aggregate is reacted to again.
    ///
    /// # Errors
    /// See [`MendError`].
    pub async fn discard_parked(&self, id: &ParkedId) -> Result<ParkedSequence, MendError> {
        self.ask(id, Request::Discard).await
    }

    /// Says where a policy begins in the partitions where its place is lost; in how many.
    #[must_use]
    pub fn begin(&self, policy: &str, from: Start) -> Option<usize> {
        let entry = self.0.iter().find(|entry| entry.name == policy)?;
        let lost = entry.runners.iter().filter(|runner| {
            let is_lost = matches!(runner.progress.borrow().state, PolicyState::Lost { .. });
            is_lost && runner.requests.try_send(Request::Begin(from)).is_ok()
        });
        Some(lost.count())
    }

    async fn ask<T>(
        &self,
        id: &ParkedId,
        request: impl FnOnce(String, Reply<T>) -> Request,
    ) -> Result<T, MendError> {
        let unknown = || MendError::Unknown(id.clone());
        let (entry, partition, aggregate) = self.find(id).ok_or_else(unknown)?;
        let runner = &entry.runners[partition.0 as usize];
        if runner.progress.borrow().state == PolicyState::StandingBy {
            return Err(MendError::NotFolded);
        }
        let (reply, answer) = oneshot::channel();
        let sent = runner.requests.try_send(request(aggregate, reply));
        sent.map_err(|_| MendError::Busy)?;
        match timeout(PATIENCE, answer).await {
            Ok(Ok(answer)) => answer,
            _ => Err(MendError::Busy),
        }
    }

    fn find(&self, id: &ParkedId) -> Option<(&Entry, Partition, String)> {
        self.0.iter().find_map(|entry| {
            let name = format!("policy.{}", entry.name);
            entry.runners().find_map(|(partition, progress)| {
                let mut held = progress.held.keys();
                let found = held.find(|aggregate| ParkedId::of(&name, aggregate) == *id)?;
                Some((entry, partition, found.clone()))
            })
        })
    }
}

impl Runner {
    /// Does what is asked, as far as it is done at once.
    pub(super) async fn answer(&mut self, request: Request) -> Result<(), Halt> {
        match request {
            Request::Retry(aggregate, reply) => {
                if let Some(held) = self.held.get_mut(&aggregate) {
                    held.retry_at = Some(Time::default());
                    self.waiting.entry(aggregate).or_default().push(reply);
                } else {
                    drop(reply.send(Err(self.unknown(&aggregate))));
                }
                Ok(())
            }
            Request::Discard(aggregate, reply) => {
                let Some(held) = self.held.remove(&aggregate) else {
                    drop(reply.send(Err(self.unknown(&aggregate))));
                    return Ok(());
                };
                tracing::warn!(policy = self.name, aggregate, "given up by a person");
                let shown = held.parked.shown(self.name.clone(), &aggregate);
                self.changed.insert(aggregate);
                self.commit().await?;
                let state = ParkedState::Discarded;
                drop(reply.send(Ok(ParkedSequence { state, ..shown })));
                Ok(())
            }
            Request::Begin(_) => Ok(()),
        }
    }

    /// Tells those who wait for the end of a retry.
    pub(super) fn tell(&mut self, mended: &Mended) {
        let Some(waiting) = self.waiting.remove(&mended.aggregate) else { return };
        let applied = mended.applied;
        let held = self.held.get(&mended.aggregate);
        let shown = held.map(|held| held.parked.shown(self.name.clone(), &mended.aggregate));
        for reply in waiting {
            let answer = match (&mended.problem, &shown) {
                (Some(reason), _) => Err(LogError::Unavailable(reason.clone()).into()),
                (None, Some(parked)) if applied == 0 => Err(MendError::StillParked {
                    position: parked.position,
                    error: parked.error.clone(),
                }),
                (None, parked) => Ok(Retried { applied, parked: parked.clone() }),
            };
            drop(reply.send(answer));
        }
    }

    fn unknown(&self, aggregate: &str) -> MendError {
        MendError::Unknown(ParkedId::of(&self.name, aggregate))
    }
}

/// Waits until a person says where to begin.
pub(super) async fn begin(requests: &mut mpsc::Receiver<Request>) -> Start {
    loop {
        match requests.recv().await {
            Some(Request::Begin(from)) => return from,
            Some(Request::Retry(..) | Request::Discard(..)) => {}
            None => std::future::pending().await,
        }
    }
}
