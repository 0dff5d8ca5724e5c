//! What the loops are made of, from what they share.

use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::task::JoinSet;

use crate::adapters::memory::MemoryBookmarks;
use crate::config::{Config, LogUrl};
use crate::gate::Gate;
use crate::log::Checks;
use crate::ports::{Bookmarks, EventLog, Ids, Tails, ViewStore};
use crate::react;
use crate::react::policies::{AnyPolicy, Policies, PolicyParts, Reacting};
use crate::react::timer::{OnTick, Timer};
use crate::read::{Projections, ReadParts, Reading};
use crate::shutdown::Shutdown;
use crate::write::{Commands, Identity, Kinds, WriteParts};

use super::open_bookmarks;

/// What all loops share.
pub(super) struct Parts<'c> {
    pub(super) config: &'c Config,
    pub(super) log: Arc<dyn EventLog>,
    pub(super) store: Arc<dyn ViewStore>,
    pub(super) log_gate: Gate,
    pub(super) store_gate: Gate,
    pub(super) ids: Ids,
    pub(super) node: Identity,
    pub(super) tails: Tails,
}

/// What follows by itself, as the builder was told.
#[derive(Default)]
pub(super) struct Reactions {
    pub(super) policies: Vec<Arc<dyn AnyPolicy>>,
    pub(super) on_tick: Option<OnTick>,
    pub(super) bookmarks: Option<Arc<dyn Bookmarks>>,
}

impl Parts<'_> {
    pub(super) fn of_writers(&self, kinds: Kinds) -> WriteParts {
        WriteParts {
            tails: self.tails.clone(),
            log: self.log.clone(),
            gate: self.log_gate.clone(),
            store: self.store.clone(),
            store_gate: self.store_gate.clone(),
            kinds,
            ids: self.ids.clone(),
            identity: self.node.clone(),
            config: self.config.write.clone(),
            request_timeout: self.config.http.request_timeout,
            checks: Checks::default(),
        }
    }

    pub(super) fn of_readers(
        &self,
        projections: Projections,
        bookmarks: Option<Arc<dyn Bookmarks>>,
        builds_on: Handle,
    ) -> ReadParts {
        ReadParts {
            builds_on,
            tails: self.tails.clone(),
            log: self.log.clone(),
            store: self.store.clone(),
            log_gate: self.log_gate.clone(),
            store_gate: self.store_gate.clone(),
            bookmarks,
            projections,
            ids: self.ids.clone(),
            node: self.node.node.clone(),
            instance: self.node.instance,
            read: self.config.read.clone(),
            replay: self.config.replay.clone(),
            history: self.config.history.clone(),
            streams: self.config.streams.clone(),
            verify: self.config.verify.clone(),
            checks: Checks::default(),
        }
    }
}

impl Reactions {
    /// The policies by name; of two with one name the problem.
    pub(super) fn policies(&self, problems: &mut Vec<String>) -> Policies {
        let mut all = Policies::default();
        for policy in &self.policies {
            if let Err(name) = all.add(policy.clone()) {
                problems.push(format!("two policies have the name `{name}`"));
            }
        }
        all
    }

    /// Where it is noted how far projections are: where tools show it, or somebody asked for it.
    pub(super) fn shown_bookmarks(
        &self,
        config: &Config,
        all: &Arc<dyn Bookmarks>,
    ) -> Option<Arc<dyn Bookmarks>> {
        let is_on_kafka = matches!(config.log.url, LogUrl::Kafka(_));
        (is_on_kafka || self.bookmarks.is_some()).then(|| all.clone())
    }

    /// Where bookmarks are kept: beside the log, with a log that was given in memory.
    pub(super) fn bookmarks(&self, config: &Config, log_is_given: bool) -> Arc<dyn Bookmarks> {
        match &self.bookmarks {
            Some(bookmarks) => bookmarks.clone(),
            None if log_is_given => Arc::new(MemoryBookmarks::default()),
            None => open_bookmarks(&config.log),
        }
    }
}

/// Starts what follows by itself; it runs until `stop`, in `tasks`.
pub(super) fn start_reacting(
    parts: &Parts<'_>,
    policies: Policies,
    on_tick: Option<OnTick>,
    bookmarks: Arc<dyn Bookmarks>,
    (commands, reading): (&Commands, &Reading),
    stop: &Shutdown,
    tasks: &mut JoinSet<()>,
) -> (Reacting, Timer) {
    let config = parts.config;
    let of_policies = PolicyParts {
        policies,
        log: parts.log.clone(),
        store: parts.store.clone(),
        bookmarks,
        gates: [parts.log_gate.clone(), parts.store_gate.clone()],
        commands: commands.clone(),
        reading: reading.clone(),
        ids: parts.ids.clone(),
        config: config.policies.clone(),
        read: config.read.clone(),
    };
    let reacting = react::policies::start(of_policies, stop, tasks);
    let (ids, commands) = (parts.ids.clone(), commands.clone());
    let (timer, run) = Timer::new(config.timer.clone(), on_tick, commands, ids, stop.clone());
    tasks.spawn(run);
    (reacting, timer)
}
