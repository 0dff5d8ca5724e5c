//! The writer of one partition: recovers, claims, reigns, and follows when it is deposed.
//!
//! Only this task touches the partition's aggregates and what is in flight, so nothing here is
//! locked. What it believes comes from the log alone; see [`crate::log`] for what counts.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use tokio::sync::mpsc;

use crate::config::WriteConfig;
use crate::contract::{Offset, Partition};
use crate::events::Claim;
use crate::gate::Gate;
use crate::log::{Checks, Term, Tracker};
use crate::ports::{EventLog, Ids, LogOrigin, Tail, ViewStore};
use crate::shutdown::Shutdown;

use super::aggregates::Aggregates;
use super::failure::Failure;
use super::identity::Identity;
use super::kind::Kinds;
use super::measured::WriteMeasures;
use super::outcomes::Outcomes;
use super::pending::InFlight;
use super::recovery::Claimed;
use super::reign::{End, Reign};
use super::saving::Saving;
use super::setback::Setback;
use super::space::StateSpace;
use super::status::{OwnerNode, Ownership, StatusCell};
use super::ticket::Ticket;
use super::unconfirmed::Unconfirmed;
use super::under_way::UnderWay;
use super::unsaved::Unsaved;
use super::waypoints::Waypoints;

/// How long a writer waits before it asks a log again that did not answer.
const RETRY_DELAY: Duration = Duration::from_millis(200);

/// What all writers of a process share.
pub(super) struct Shared {
    pub(super) log: Arc<dyn EventLog>,
    pub(super) gate: Gate,
    pub(super) store: Arc<dyn ViewStore>,
    pub(super) store_gate: Gate,
    pub(super) kinds: Kinds,
    pub(super) ids: Ids,
    pub(super) identity: Identity,
    pub(super) config: WriteConfig,
    pub(super) checks: Checks,
    /// What is counted of commands and records.
    pub(super) measures: WriteMeasures,
}

/// Whose claim counted last.
pub(super) struct Ruler {
    pub(super) term: Term,
    /// `None` when its value does not decode: nobody of ours wrote it.
    pub(super) claim: Option<Claim>,
    /// Whether it does not decode because a newer binary wrote it, which is one of ours.
    pub(super) of_newer: bool,
}

/// The writer of one partition.
pub(super) struct Writer {
    pub(super) shared: Arc<Shared>,
    pub(super) partition: Partition,
    pub(super) inbox: mpsc::Receiver<Ticket>,
    pub(super) status: StatusCell,
    /// The fold of the partition, up to the last record that is settled or was read.
    pub(super) tracker: Tracker,
    /// The end that was reached when the log was last read: beyond the fold there may be holes.
    pub(super) seen_to: Offset,
    pub(super) origin: LogOrigin,
    /// Whether what is in memory is what the log says up to the fold. If not, states are neither
    /// folded nor decided on, until they are opened again.
    pub(super) is_open: bool,
    pub(super) aggregates: Aggregates,
    /// What the state space lacks.
    pub(super) unsaved: Unsaved,
    pub(super) saving: Saving,
    /// Whether a stored state turned out to be unreadable, and whether all were rebuilt for that.
    pub(super) must_rebuild: bool,
    pub(super) was_rebuilt: bool,
    pub(super) numbers: Numbers,
    pub(super) in_flight: InFlight,
    pub(super) unconfirmed: Unconfirmed,
    /// Where the first outcomes are.
    pub(super) outcomes: Outcomes,
    /// Ids that may come again, whose first outcome is not there yet.
    pub(super) under_way: UnderWay,
    pub(super) waypoints: Waypoints,
    /// Commands of an ended term, to be decided again before any new one.
    pub(super) again: VecDeque<Ticket>,
    pub(super) ruler: Option<Ruler>,
    /// The newest term whose claim was taken: what is older was decided by it.
    pub(super) decided: Term,
    /// Whether a claim of this process has counted.
    pub(super) has_reigned: bool,
    /// Partitions and hash of the log, by the first claim that could be read.
    pub(super) layout: Option<(u32, String)>,
    /// The term that this writer reigns in now.
    pub(super) reigning: Option<Term>,
    /// Whether a stranger's record counted in the writer's own term.
    pub(super) intruded: bool,
    pub(super) alarms: u64,
    /// Where commits are encoded, again and again.
    pub(super) buffer: BytesMut,
    /// Where readers in this process find what this writer has passed.
    pub(super) tail: Tail,
}

/// What a writer counts.
#[derive(Default)]
pub(super) struct Numbers {
    /// Commands whose aggregate was in memory.
    pub(super) hits: u64,
    /// Aggregates that had to be read.
    pub(super) misses: u64,
}

/// Why a writer stops being one.
pub(super) enum Stop {
    /// The process is going down.
    Shutdown,
    /// The log must not be written by this process.
    Refused(String),
}

impl Writer {
    pub(super) fn new(
        shared: Arc<Shared>,
        partition: Partition,
        inbox: mpsc::Receiver<Ticket>,
        status: StatusCell,
        tail: Tail,
    ) -> Self {
        let share = shared.log.partitions().count() as usize;
        let cached_max = shared.config.cached_aggregates_max.div_ceil(share);
        let checks = shared.checks;
        let tracker = Tracker::default().checking(checks);
        let (store, gate) = (shared.store.clone(), shared.store_gate.clone());
        let kept_max = shared.config.kept_keys_max.div_ceil(share);
        let exact_max = shared.config.exact_keys_max.div_ceil(share);
        let space = StateSpace::new(store, gate, shared.kinds.clone(), partition);
        Self {
            origin: LogOrigin::new(shared.log.clone(), partition, checks),
            is_open: false,
            unsaved: Unsaved::new(space.states_max()),
            saving: Saving::new(space),
            must_rebuild: false,
            was_rebuilt: false,
            numbers: Numbers::default(),
            decided: Term(0),
            shared,
            partition,
            inbox,
            status,
            tracker,
            seen_to: Offset(0),
            aggregates: Aggregates::new(cached_max, checks.eviction),
            in_flight: InFlight::default(),
            unconfirmed: Unconfirmed::default(),
            outcomes: Outcomes::new(kept_max, exact_max),
            under_way: UnderWay::default(),
            waypoints: Waypoints::default(),
            again: VecDeque::new(),
            ruler: None,
            has_reigned: false,
            layout: None,
            reigning: None,
            intruded: false,
            alarms: 0,
            buffer: BytesMut::new(),
            tail,
        }
    }

    /// Runs until the process goes down.
    pub(super) async fn run(mut self, shutdown: Shutdown) {
        let stop = self.serve(&shutdown).await;
        self.close(&stop);
        if let Stop::Refused(reason) = stop {
            self.publish(Ownership::Refused { reason });
            self.turn_away(&shutdown).await;
        }
        self.publish(Ownership::Stopped);
    }

    async fn serve(&mut self, shutdown: &Shutdown) -> Stop {
        self.publish(Ownership::Waiting { reason: "it is being checked".to_owned() });
        let gate = self.shared.gate.clone();
        tokio::select! {
            biased;
            () = gate.opened() => {}
            () = shutdown.requested() => return Stop::Shutdown,
        }
        loop {
            let claimed = tokio::select! {
                biased;
                claimed = self.claim() => claimed,
                () = shutdown.requested() => return Stop::Shutdown,
            };
            match claimed {
                Ok(Claimed::Owner(appender)) => {
                    let reign = Reign::new(self.tracker.fold().term, appender);
                    match self.reign(reign, shutdown).await {
                        End::Term(reason) => {
                            tracing::warn!(partition = %self.partition, %reason, "term ended");
                        }
                        // The next claim finds out whether it is right to follow.
                        End::Deposed => {
                            let reason = "a newer claim counts";
                            tracing::warn!(partition = %self.partition, %reason, "term ended");
                        }
                        End::Shutdown => return Stop::Shutdown,
                    }
                }
                Ok(Claimed::ByAnother) => {
                    self.note_deposed();
                    self.reject_undecided();
                    self.forget();
                    self.tail.begin(self.tracker.next());
                    let stop = self.follow(shutdown).await;
                    self.tail.end();
                    if let Some(stop) = stop {
                        return stop;
                    }
                }
                Ok(Claimed::WrongLog(reason)) => return Stop::Refused(reason),
                Err(Setback::Log(error)) if !error.is_retryable() => {
                    return Stop::Refused(error.to_string());
                }
                Err(setback) => self.wait_after(&setback).await,
            }
        }
    }

    /// Follows another's reign, so that taking over is quick; returns when claiming is right.
    async fn follow(&mut self, shutdown: &Shutdown) -> Option<Stop> {
        loop {
            let from = self.tracker.next();
            let reader = self.shared.log.reader(self.partition, from).await;
            let Ok(mut reader) = reader else {
                self.reject_waiting();
                tokio::time::sleep(RETRY_DELAY).await;
                continue;
            };
            loop {
                let max = self.shared.config.in_flight_max;
                tokio::select! {
                    biased;
                    () = shutdown.requested() => return Some(Stop::Shutdown),
                    chunk = reader.next(max, super::recovery::CHUNK_BYTES_MAX) => match chunk {
                        Ok(chunk) => {
                            let term = self.tracker.fold().term;
                            self.take_chunk(&chunk);
                            if self.tracker.fold().term == term {
                                self.publish_numbers();
                            } else if !self.may_claim() {
                                self.note_deposed();
                            }
                            self.reject_waiting(); // a long log must not keep them waiting
                        }
                        Err(_) => break,
                    },
                    ticket = self.inbox.recv() => match ticket {
                        Some(ticket) => self.reject(ticket),
                        None => return Some(Stop::Shutdown),
                    },
                }
                if self.may_claim() {
                    return None;
                }
            }
            tokio::time::sleep(RETRY_DELAY).await;
        }
    }

    fn note_deposed(&mut self) {
        let Some(ruler) = &self.ruler else { return };
        let by = ruler.claim.as_ref().map_or_else(
            || match ruler.of_newer {
                true => "a newer binary, whose claim this one cannot read".to_owned(),
                false => "a claim that cannot be read".to_owned(),
            },
            |claim| format!("node {} ({})", claim.node, claim.instance),
        );
        let (partition, term) = (self.partition, ruler.term);
        tracing::error!(%partition, %term, %by, "deposed: another process claimed the partition");
        let owner = ruler.claim.as_ref().map(OwnerNode::of);
        self.publish(Ownership::Deposed { term, by, owner });
    }

    async fn wait_after(&mut self, setback: &Setback) {
        tracing::warn!(partition = %self.partition, %setback, "not the owner yet");
        let reason = setback.to_string();
        match setback {
            Setback::Log(_) => self.publish(Ownership::Waiting { reason }),
            Setback::Store(_) => self.publish(Ownership::WaitingForStates { reason }),
            Setback::Lost(_) => self.forget(),
        }
        tokio::time::sleep(RETRY_DELAY).await;
    }

    /// Answers what the writer still holds when it stops.
    fn close(&mut self, stop: &Stop) {
        let failure = match stop {
            Stop::Shutdown => Failure::ShuttingDown,
            Stop::Refused(reason) => Failure::LogUnavailable(reason.clone()),
        };
        for pending in self.in_flight.drain() {
            pending.ticket.fail(Failure::OutcomeUnknown);
        }
        let unconfirmed = self.unconfirmed.drain().map(|(_, ticket)| ticket);
        unconfirmed.chain(self.again.drain(..)).for_each(|ticket| ticket.fail(failure.clone()));
        self.under_way.drain().for_each(|ticket| ticket.fail(failure.clone()));
        self.inbox.close();
        while let Ok(ticket) = self.inbox.try_recv() {
            ticket.fail(failure.clone());
        }
    }

    async fn turn_away(&mut self, shutdown: &Shutdown) {
        shutdown.requested().await;
    }

    /// Turns away what the ended term left undecided: a newer claim counts, so it never will.
    fn reject_undecided(&mut self) {
        let detail = self.status.get().ownership.to_string();
        let fail = |ticket: Ticket| {
            let detail = detail.clone();
            ticket.fail(Failure::NoOwner { partition: self.partition.0, detail });
        };
        self.again.drain(..).for_each(fail);
        // Whoever waited for one of them waits in vain.
        self.under_way.drain().for_each(fail);
    }

    fn reject_waiting(&mut self) {
        while let Ok(ticket) = self.inbox.try_recv() {
            self.reject(ticket);
        }
    }

    fn reject(&self, ticket: Ticket) {
        if ticket.custody.take() {
            let detail = self.status.get().ownership.to_string();
            ticket.fail(Failure::NoOwner { partition: self.partition.0, detail });
        }
    }

    pub(super) fn reigns_in(&self, term: Term) -> bool {
        self.reigning == Some(term)
    }

    /// Tells the others where this writer stands.
    pub(super) fn publish(&self, ownership: Ownership) {
        self.status.set_ownership(ownership);
        self.publish_numbers();
    }

    pub(super) fn publish_numbers(&self) {
        self.status.update(|status| {
            status.next = self.tracker.next();
            status.records = self.tracker.counters();
            status.aggregates = self.aggregates.len();
            status.unreadable = self.aggregates.unreadable();
            status.in_flight = self.in_flight.len();
            status.outcomes = self.outcomes.len();
            status.exact_outcomes = self.outcomes.exact_len();
            status.hits = self.numbers.hits;
            status.misses = self.numbers.misses;
            let stored = self.saving.state.checkpoint().map_or(Offset(0), |it| it.next);
            status.stored = stored;
            status.behind = self.tracker.next().0.saturating_sub(stored.0);
            status.problem = self.saving.problem().map(str::to_owned);
            status.alarms = self.alarms;
        });
    }
}
