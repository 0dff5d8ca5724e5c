//! A runner: one policy in one partition, from its checkpoint on, for as long as the process runs.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, timeout};

use crate::config::{PoliciesConfig, ReadConfig};
use crate::contract::{Offset, Partition, Start, Time};
use crate::gate::Gate;
use crate::log::{Checkpoint, Tracker};
use crate::ports::{
    Bookmarks, EventLog, Ids, LogError, LogOrigin, LogRecord, Space, SpaceState, StoreError,
    ViewStore,
};
use crate::read::{Feed, IDLE_CHECK, Inlet};
use crate::shutdown::Shutdown;

use super::chunk::{Chunk, Work};
use super::deadlines::Deadline;
use super::held::{Held, HeldMap};
use super::issuing::{Failed, Issuer};
use super::mending::Mending;
use super::requests::{Request, Waiting, begin};
use super::status::{PolicyState, Progress};

/// How long a runner waits before it asks again who did not answer.
const RETRY_DELAY: Duration = Duration::from_millis(500);
/// How often in a row another's checkpoint must stand still before a runner takes over.
const STILL_CHECKS: u32 = 3;
/// How long the last bookmark may take when the process ends.
const LAST_BOOKMARK: Duration = Duration::from_secs(2);

/// What a runner works with.
pub(super) struct Parts {
    pub(super) partition: Partition,
    pub(super) log: Arc<dyn EventLog>,
    pub(super) store: Arc<dyn ViewStore>,
    pub(super) bookmarks: Arc<dyn Bookmarks>,
    pub(super) gates: [Gate; 2],
    pub(super) feed: Feed,
    pub(super) origin: LogOrigin,
    pub(super) issuer: Arc<Issuer>,
    pub(super) progress: watch::Sender<Progress>,
    pub(super) ids: Ids,
    pub(super) config: PoliciesConfig,
    pub(super) read: ReadConfig,
}

pub(super) struct Runner {
    pub(super) parts: Arc<Parts>,
    /// `policy.NAME`
    pub(super) name: String,
    pub(super) space: Space,
    /// What was last committed.
    pub(super) state: SpaceState,
    /// Whether `state` and all below is known to be what the space has.
    pub(super) is_open: bool,
    /// What was read, and from which everything that follows is done or held back.
    pub(super) tracker: Tracker,
    pub(super) held: HeldMap,
    /// The aggregates of which `held` says something else than is committed.
    pub(super) changed: BTreeSet<String>,
    /// When the first of what follows later is due.
    pub(super) next_due: Option<Time>,
    /// Up to here everything is done, as this process knows, whatever the store may lose.
    pub(super) done: Option<Checkpoint>,
    pub(super) bookmark: Option<(Offset, Instant)>,
    pub(super) committed_at: Instant,
    pub(super) mending: FuturesUnordered<Mending>,
    /// The aggregates that are being mended.
    pub(super) in_mending: BTreeSet<String>,
    pub(super) requests: mpsc::Receiver<Request>,
    /// Who waits until an aggregate was tried again.
    pub(super) waiting: Waiting,
    /// Where to begin when nothing else is known, as a person said.
    pub(super) told: Option<Start>,
}

/// Why a runner does not go on for now.
pub(super) enum Halt {
    /// Begin again from what is committed, after a while.
    Retry(String),
    /// The store was emptied or set back, and has this now.
    SetBack(SpaceState),
    /// Another runner commits to the space.
    StandBy,
    /// The next record was written by a newer binary.
    Newer(String),
    /// Too many aggregates are held back.
    Full(String),
    /// It has run before, and nobody knows how far.
    Lost(String),
}

impl Runner {
    pub(super) fn new(parts: Parts, requests: mpsc::Receiver<Request>) -> Self {
        let name = format!("policy.{}", parts.issuer.policy.name().as_str());
        let space = Space {
            name: name.as_str().into(),
            generation: "0".into(), // there is never another
            partition: parts.partition,
        };
        Self {
            parts: Arc::new(parts),
            name,
            space,
            state: SpaceState::Empty,
            is_open: false,
            tracker: Tracker::default(),
            held: HeldMap::new(),
            changed: BTreeSet::new(),
            next_due: None,
            done: None,
            bookmark: None,
            committed_at: Instant::now(),
            mending: FuturesUnordered::new(),
            in_mending: BTreeSet::new(),
            requests,
            waiting: Waiting::new(),
            told: None,
        }
    }

    /// Runs until the process goes down.
    pub(super) async fn run(mut self, stop: Shutdown) {
        tokio::select! {
            biased;
            () = stop.requested() => {}
            () = self.keep_on() => {}
        }
        if self.done.is_some() {
            drop(timeout(LAST_BOOKMARK, self.keep_bookmark()).await);
        }
    }

    async fn keep_on(&mut self) {
        for gate in &self.parts.gates {
            gate.opened().await;
        }
        loop {
            let halt = match self.work().await {
                Ok(never) => match never {},
                Err(halt) => halt,
            };
            // What was lost of what follows later is found again by reading on from the bookmark.
            let can_restore = self.next_due.is_none();
            self.is_open = match &halt {
                Halt::SetBack(_) => can_restore,
                Halt::Full(_) => true,
                _ => false,
            };
            let policy = self.name.as_str();
            let partition = self.parts.partition.0;
            match halt {
                Halt::Retry(reason) => {
                    tracing::warn!(policy, partition, %reason, "a policy waits");
                    self.say(PolicyState::Waiting { reason });
                    sleep(RETRY_DELAY).await;
                }
                Halt::SetBack(state) => {
                    tracing::warn!(policy, partition, "the view store has forgotten a policy");
                    self.state = state;
                    self.changed.extend(self.held.keys().cloned());
                }
                Halt::StandBy => self.stand_by().await,
                Halt::Full(detail) => {
                    tracing::error!(policy, partition, %detail, "too many aggregates are parked");
                    self.say(PolicyState::TooManyParked { detail });
                    // Whatever ends the wait, the same records come again.
                    drop(timeout(self.parts.config.retry_delay_max, self.wait_for_room()).await);
                }
                Halt::Newer(detail) => {
                    tracing::error!(policy, partition, %detail, "a newer binary wrote an event");
                    self.say(PolicyState::NewerEvents { detail });
                    std::future::pending::<()>().await;
                }
                Halt::Lost(detail) => {
                    tracing::error!(policy, partition, %detail, "a policy does not know its place");
                    self.say(PolicyState::Lost { detail });
                    self.told = Some(begin(&mut self.requests).await);
                }
            }
        }
    }

    async fn work(&mut self) -> Result<Infallible, Halt> {
        if !self.is_open {
            self.open().await?;
            self.is_open = true;
        }
        let parts = self.parts.clone();
        let (log, feed, next) = (parts.log.clone(), parts.feed.clone(), self.tracker.next());
        let mut inlet = Inlet::open(log, parts.partition, feed, next, &parts.read).await?;
        self.publish();
        loop {
            let next = self.tracker.next();
            let (due, deadline) = (self.due_in(), self.deadline_in());
            let fed = tokio::select! {
                biased;
                Some(mended) = self.mending.next() => {
                    self.mended(mended).await?;
                    continue;
                }
                Some(request) = self.requests.recv() => {
                    self.answer(request).await?;
                    continue;
                }
                () = sleep(deadline.unwrap_or_default()), if deadline.is_some() => {
                    self.meet_deadlines().await?;
                    continue;
                }
                () = sleep(due.unwrap_or_default()), if due.is_some() => {
                    self.begin_to_mend();
                    continue;
                }
                fed = inlet.next(next, true) => fed?,
            };
            match fed {
                Some(fed) => self.take(fed.since(next)).await?,
                None => self.look().await?,
            }
        }
    }

    /// Issues what follows from these records, and commits that it was issued.
    async fn take(&mut self, records: &[LogRecord]) -> Result<(), Halt> {
        let chunk = Chunk::of(self.parts.issuer.asked(), &self.tracker, &self.held, records);
        let is_empty = chunk.is_empty();
        if !is_empty {
            self.put_off_of(&chunk).await?;
            let failed = self.issue(&chunk.works).await?;
            self.hold(&chunk, failed)?;
        }
        self.tracker = chunk.tracker;
        // What nothing follows from is committed with what comes next, or soon.
        if !is_empty || self.committed_at.elapsed() >= IDLE_CHECK {
            self.commit().await?;
        }
        chunk.newer.map_or(Ok(()), |detail| Err(Halt::Newer(detail)))
    }

    /// Puts off what follows later.
    async fn put_off_of(&mut self, chunk: &Chunk) -> Result<(), Halt> {
        let entries = || chunk.works.iter().flat_map(|work| &work.entries);
        let first = entries().map(|entry| entry.before).min_by_key(|before| before.next);
        match first {
            Some(first) => self.put_off(first, entries().flat_map(Deadline::of).collect()).await,
            None => Ok(()),
        }
    }

    /// Issues, and looks meanwhile whether another runner does the same.
    async fn issue(&mut self, works: &[Work]) -> Result<Vec<Failed>, Halt> {
        let issuer = self.parts.issuer.clone();
        let mut issued = std::pin::pin!(issuer.issue(works));
        loop {
            tokio::select! {
                biased;
                failed = &mut issued => return Ok(failed),
                () = sleep(IDLE_CHECK) => self.check_space().await?,
            }
        }
    }

    /// Holds back what could not be done, and what was held back before and has grown.
    fn hold(&mut self, chunk: &Chunk, failed: Vec<Failed>) -> Result<(), Halt> {
        let max = self.parts.config.parked_aggregates_max;
        if let Some(first) = failed.first()
            && self.held.len() + failed.len() > max
        {
            let target = &chunk.works[first.work].target;
            return Err(Halt::Full(format!(
                "{max} aggregates may be held back (policies.parked_aggregates_max), and {target} \
                 would be one more: {}",
                first.poison.error
            )));
        }
        for (aggregate, (count, last)) in &chunk.grown {
            if let Some(held) = self.held.get_mut(aggregate) {
                held.parked.count += count;
                held.last = *last;
                self.changed.insert(aggregate.clone());
            }
        }
        for Failed { work, entry, poison } in failed {
            let Work { target, entries } = &chunk.works[work];
            let (aggregate, entries) = (target.as_str().to_owned(), &entries[entry..]);
            let last = entries.last().map_or(Offset(0), |entry| entry.record.offset);
            let policy = self.name.as_str();
            tracing::error!(policy, aggregate, error = poison.error, "held back");
            let held = Held::first(&entries[0], poison, entries.len() as u64, last);
            let held = held.scheduled(&self.parts.ids, &self.parts.config);
            self.changed.insert(aggregate.clone());
            self.held.insert(aggregate, held);
        }
        Ok(())
    }

    /// Waits until a sequence is mended, or the space is no longer this runner's.
    async fn wait_for_room(&mut self) -> Result<(), Halt> {
        loop {
            let due = self.due_in();
            tokio::select! {
                biased;
                Some(mended) = self.mending.next() => return self.mended(mended).await,
                Some(request) = self.requests.recv() => self.answer(request).await?,
                () = sleep(due.unwrap_or_default()), if due.is_some() => self.begin_to_mend(),
                () = sleep(IDLE_CHECK) => self.check_space().await?,
            }
        }
    }

    /// Waits until the other runner stops.
    async fn stand_by(&mut self) {
        tracing::info!(policy = self.name, "another process runs it: standing by");
        let (mut last, mut still) = (SpaceState::Empty, 0);
        while still < STILL_CHECKS {
            sleep(IDLE_CHECK).await;
            let read = self.parts.store.read(&self.space, &[]).await;
            let Ok((state, _)) = read else { continue };
            still = if state == last { still + 1 } else { 0 };
            last = state;
            self.state = last.clone();
            self.say(PolicyState::StandingBy);
        }
    }

    pub(super) fn publish(&self) {
        self.say(PolicyState::Following);
    }

    pub(super) fn say(&self, state: PolicyState) {
        let committed = self.state.checkpoint();
        self.parts.progress.send_modify(|progress| {
            progress.state = state;
            progress.next = committed.map_or(Offset(0), |at| at.next);
            progress.time = committed.map(|at| at.time);
            if *progress.held != self.held {
                progress.held = Arc::new(self.held.clone());
            }
        });
    }
}

impl From<LogError> for Halt {
    fn from(error: LogError) -> Self {
        Self::Retry(error.to_string())
    }
}

impl From<StoreError> for Halt {
    fn from(error: StoreError) -> Self {
        Self::Retry(error.to_string())
    }
}
