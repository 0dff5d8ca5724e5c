//! A writer's reign: it decides, appends without waiting, and settles in the order it sent.

use std::collections::BTreeMap;

use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::contract::Offset;
use crate::log::{Chain, Term};
use crate::ports::{Appender, LogError, Report, SendNumber};
use crate::shutdown::Shutdown;

use super::aggregates::Snapshot;
use super::failure::Failure;
use super::kind::Verdict;
use super::misses::Misses;
use super::repeat::Searches;
use super::status::Ownership;
use super::ticket::Ticket;
use super::waiting::Waiting;
use super::writer::Writer;

/// Commands taken from the queue at once.
const TAKE_MAX: usize = 256;

/// One term of this writer.
pub(super) struct Reign {
    pub(super) term: Term,
    pub(super) next_chain: Chain,
    pub(super) appender: Box<dyn Appender>,
    /// The first send of this reign has number 1: the claim was number 0.
    pub(super) next_send: SendNumber,
    /// Every send before this one has counted.
    pub(super) settled: SendNumber,
    /// Decisions that did not end at once, by slot.
    pub(super) slots: BTreeMap<u64, (Ticket, Snapshot)>,
    pub(super) next_slot: u64,
    pub(super) deciding: FuturesUnordered<BoxFuture<'static, (u64, Result<Verdict, Failure>)>>,
    /// Commands whose aggregate is being read, or has a decision under way.
    pub(super) waiting: Waiting,
    /// Aggregates that are being read.
    pub(super) misses: Misses,
    /// Commands whose first outcome is looked for.
    pub(super) searches: Searches,
    /// A query for the log's end, and the answers that it will cover.
    query: Option<BoxFuture<'static, (Result<Offset, LogError>, u64)>>,
    /// The furthest end that was learned.
    pub(super) horizon: Offset,
    last_active: Instant,
}

/// Why a reign ended.
pub(super) enum End {
    /// An append failed, got lost, or a stranger interfered. Claim again.
    Term(String),
    /// Another process claimed the partition.
    Deposed,
    /// The process is going down and nothing is in flight.
    Shutdown,
}

impl Reign {
    pub(super) fn new(term: Term, appender: Box<dyn Appender>) -> Self {
        Self {
            term,
            next_chain: Chain(0),
            appender,
            next_send: SendNumber(1),
            settled: SendNumber(1),
            slots: BTreeMap::new(),
            next_slot: 0,
            deciding: FuturesUnordered::new(),
            waiting: Waiting::default(),
            misses: Misses::default(),
            searches: Searches::default(),
            query: None,
            horizon: Offset(0),
            last_active: Instant::now(),
        }
    }

    /// Takes back what was being decided.
    pub(super) fn into_tickets(self) -> impl Iterator<Item = Ticket> {
        let slots = self.slots.into_values().map(|(ticket, _)| ticket);
        let searched = self.searches.into_tickets();
        slots.chain(self.waiting.into_tickets()).chain(searched)
    }
}

impl Writer {
    /// Serves commands until the reign ends. Everything undecided is in `again` then, or in
    /// flight until the next claim decides it.
    pub(super) async fn reign(&mut self, mut reign: Reign, shutdown: &Shutdown) -> End {
        self.reigning = Some(reign.term);
        self.intruded = false;
        self.publish(Ownership::Owner { term: reign.term });
        let (partition, term) = (self.partition, reign.term);
        tracing::info!(%partition, %term, "owner of the partition");
        self.tail.begin(self.tracker.next());
        let end = self.serve_reign(&mut reign, shutdown).await;
        if matches!(end, End::Shutdown) {
            self.save_rest().await;
        }
        self.tail.end();
        self.reigning = None;
        self.publish(Ownership::Recovering);
        self.again.extend(reign.into_tickets());
        end
    }

    async fn serve_reign(&mut self, reign: &mut Reign, shutdown: &Shutdown) -> End {
        let mut reports: Vec<Report> = Vec::new();
        let mut taken: Vec<Ticket> = Vec::new();
        let config = &self.shared.config;
        let period = config.idle_check_interval.min(config.commit_interval).min(TICK_MAX);
        let mut tick = interval(period);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        if let Err(end) = self.decide_first(reign).and_then(|()| self.go_on(reign)) {
            return end;
        }
        loop {
            let room = self.room(reign);
            let stopping = shutdown.is_requested();
            if stopping && self.is_drained(reign) {
                return End::Shutdown;
            }
            let step = tokio::select! {
                biased;
                () = reign.appender.settled(&mut reports) => {
                    self.settle_all(reign, &mut reports).await
                }
                Some((slot, verdict)) = reign.deciding.next(), if !reign.deciding.is_empty() => {
                    self.decided(reign, slot, verdict)
                }
                Some(ended) = reign.searches.running.next(), if reign.searches.len() > 0 => {
                    self.searched(reign, ended)
                }
                Some(fetched) = reign.misses.running.next(), if reign.misses.are_read() => {
                    self.fetched(reign, fetched)
                }
                Some(ended) = self.saving.task.join_next(), if !self.saving.task.is_empty() => {
                    self.saved_in_reign(ended)
                }
                (end, covers) = answer(&mut reign.query), if reign.query.is_some() => {
                    reign.query = None;
                    self.learn(reign, end, covers)
                }
                count = self.inbox.recv_many(&mut taken, room.min(TAKE_MAX)), if room > 0 => {
                    if count == 0 { return End::Shutdown; }
                    reign.last_active = Instant::now();
                    self.begin_all(reign, &mut taken)
                }
                _ = tick.tick() => self.tick(reign),
                () = shutdown.requested(), if !stopping => Ok(()),
            };
            if let Err(end) = step {
                return end;
            }
            if let Err(end) = self.prove(reign).await {
                return end;
            }
            if let Err(end) = self.go_on(reign) {
                return end;
            }
            self.fetch(reign);
            self.save_full();
        }
    }

    /// How many more commands may be taken.
    fn room(&self, reign: &Reign) -> usize {
        let decided = self.in_flight.len() + self.unconfirmed.len();
        let undecided = reign.slots.len() + reign.waiting.len() + reign.searches.len();
        let held = decided + undecided + self.under_way.waiting();
        self.shared.config.in_flight_max.saturating_sub(held)
    }

    /// How many commands may wait for the decisions of one aggregate; also how many duplicates for
    /// their first ones, and how many outcomes be searched. So a slow aggregate, and whoever
    /// repeats its commands, leave room for the others.
    pub(super) fn share(&self) -> usize {
        (self.shared.config.in_flight_max / 4).max(1)
    }

    fn is_drained(&self, reign: &Reign) -> bool {
        let idle = self.in_flight.is_empty() && self.unconfirmed.is_empty();
        let idle = idle && reign.searches.len() == 0 && self.under_way.waiting() == 0;
        idle && reign.slots.is_empty() && reign.waiting.is_empty() && self.inbox.is_empty()
    }

    /// Confirms what can be confirmed, and asks for what is needed to confirm the rest.
    async fn prove(&mut self, reign: &mut Reign) -> Result<(), End> {
        let unknown = reign.horizon > self.seen_to.max(self.tracker.next());
        if unknown && self.in_flight.is_empty() {
            self.read_gap(reign, None).await?;
        }
        let next = self.tracker.next();
        let folded = Offset(next.0.saturating_sub(1));
        self.unconfirmed.confirm(reign.settled, self.seen_to.max(next), folded);
        // What is in flight will prove what was decided before it for nothing.
        if reign.query.is_none() && self.in_flight.is_empty() && self.unconfirmed.needs_horizon() {
            self.ask_for_end(reign);
        }
        Ok(())
    }

    fn ask_for_end(&self, reign: &mut Reign) {
        let (log, partition, covers) =
            (self.shared.log.clone(), self.partition, self.unconfirmed.covers());
        reign.query = Some(Box::pin(async move { (log.end(partition).await, covers) }));
    }

    /// Takes the log's end as it was after the query was sent.
    fn learn(
        &mut self,
        reign: &mut Reign,
        end: Result<Offset, LogError>,
        covers: u64,
    ) -> Result<(), End> {
        match end {
            Ok(end) => {
                self.unconfirmed.learned(end, covers);
                reign.horizon = reign.horizon.max(end);
            }
            Err(error) => {
                // Nothing was done for them, and nobody can say whether the state was the last.
                let failure = Failure::LogUnavailable(error.to_string());
                self.unconfirmed.drain().for_each(|(_, ticket)| ticket.fail(failure.clone()));
            }
        }
        Ok(())
    }

    /// Looks after time: a record that does not settle, a partition in which nothing happens.
    fn tick(&mut self, reign: &mut Reign) -> Result<(), End> {
        let (settle_timeout, idle_interval) =
            (self.shared.config.settle_timeout, self.shared.config.idle_check_interval);
        let oldest = self.in_flight.front().map(|pending| pending.sent_at);
        if oldest.is_some_and(|sent_at| sent_at.elapsed() > settle_timeout) {
            return Err(End::Term("an append was not settled in time".to_owned()));
        }
        self.save_due();
        self.seal();
        self.look_at_former();
        self.publish_numbers();
        let idle = reign.last_active.elapsed() >= idle_interval;
        if idle && reign.query.is_none() && self.in_flight.is_empty() {
            reign.last_active = Instant::now();
            self.ask_for_end(reign);
        }
        Ok(())
    }
}

/// How often a writer looks after time, at least.
const TICK_MAX: std::time::Duration = std::time::Duration::from_millis(500);

async fn answer<T>(query: &mut Option<BoxFuture<'static, T>>) -> T {
    match query {
        Some(query) => query.await,
        None => std::future::pending().await,
    }
}
