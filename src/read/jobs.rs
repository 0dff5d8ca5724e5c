//! What was asked for and takes its time: a job, with a part for each projection. The latest are
//! remembered, and whoever watches is told of every change.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;
use uuid::Uuid;

use crate::contract::Time;
use crate::ports::Ids;

/// Jobs that are remembered.
const REMEMBERED_MAX: usize = 100;

/// The jobs of one kind. Cheap to clone.
pub(super) struct Jobs<P: Part>(Arc<Inner<P>>);

struct Inner<P: Part> {
    ids: Ids,
    jobs: Mutex<VecDeque<Job<P>>>,
    changed: watch::Sender<()>,
}

/// One projection's part of a job.
pub(super) trait Part: Clone + PartialEq {
    /// What all parts of a job have in common.
    type Terms: Clone;

    /// Whether it will not change any more.
    fn is_final(&self) -> bool;
}

pub(super) struct Job<P: Part> {
    pub(super) id: Uuid,
    pub(super) terms: P::Terms,
    pub(super) started_at: Time,
    pub(super) ended_at: Option<Time>,
    pub(super) parts: BTreeMap<&'static str, P>,
}

impl<P: Part> Jobs<P> {
    pub(super) fn new(ids: Ids) -> Self {
        let inner = Inner { ids, jobs: Mutex::default(), changed: watch::Sender::new(()) };
        Self(Arc::new(inner))
    }

    /// Notes a job of these projections.
    ///
    /// # Errors
    /// The job that one of them is busy with.
    pub(super) fn begin(
        &self,
        names: &[&'static str],
        terms: P::Terms,
        part: &P,
    ) -> Result<Uuid, Uuid> {
        let (id, started_at) = (self.0.ids.next(), self.0.ids.now());
        self.with(|jobs| {
            let busy = |job: &&Job<P>| names.iter().any(|name| job.is_busy_with(name));
            if let Some(busy) = jobs.iter().find(busy) {
                return Err(busy.id);
            }
            let parts = names.iter().map(|&name| (name, part.clone())).collect();
            add(jobs, Job { id, terms, started_at, ended_at: None, parts });
            Ok(id)
        })
    }

    /// Notes a job that was begun by another process, or an earlier one, or another part of it.
    pub(super) fn join(
        &self,
        id: Uuid,
        started_at: Time,
        terms: P::Terms,
        name: &'static str,
        part: P,
    ) {
        self.with(|jobs| match jobs.iter_mut().find(|job| job.id == id) {
            Some(job) => {
                job.parts.insert(name, part);
                job.ended_at = None;
            }
            None => {
                let parts = [(name, part)].into();
                add(jobs, Job { id, terms, started_at, ended_at: None, parts });
            }
        });
        self.0.changed.send_replace(());
    }

    /// Notes how a projection's part stands.
    pub(super) fn update(&self, id: Uuid, name: &'static str, part: P) {
        let now = self.0.ids.now();
        let is_new = self.with(|jobs| {
            let Some(job) = jobs.iter_mut().find(|job| job.id == id) else { return false };
            let is_new = job.parts.get(name) != Some(&part);
            job.parts.insert(name, part);
            if job.parts.values().all(P::is_final) {
                job.ended_at.get_or_insert(now);
            }
            is_new
        });
        if is_new {
            self.0.changed.send_replace(());
        }
    }

    /// What `show` makes of a job that is remembered.
    pub(super) fn get<T>(&self, id: Uuid, show: impl FnOnce(&Job<P>) -> T) -> Option<T> {
        self.with(|jobs| jobs.iter().find(|job| job.id == id).map(show))
    }

    /// The same of all of them, the newest first.
    pub(super) fn list<T>(&self, show: impl Fn(&Job<P>) -> T) -> Vec<T> {
        self.with(|jobs| jobs.iter().rev().map(show).collect())
    }

    /// Is told of every change from now on.
    pub(super) fn changes(&self) -> watch::Receiver<()> {
        self.0.changed.subscribe()
    }

    fn with<T>(&self, with: impl FnOnce(&mut VecDeque<Job<P>>) -> T) -> T {
        with(&mut self.0.jobs.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl<P: Part> Job<P> {
    fn is_busy_with(&self, name: &str) -> bool {
        self.parts.get(name).is_some_and(|part| !part.is_final())
    }
}

impl<P: Part> Clone for Jobs<P> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

/// The oldest that has ended gives way: one that runs is never forgotten.
fn add<P: Part>(jobs: &mut VecDeque<Job<P>>, job: Job<P>) {
    jobs.push_back(job);
    if jobs.len() > REMEMBERED_MAX {
        let ended = jobs.iter().position(|job| job.ended_at.is_some());
        drop(jobs.remove(ended.unwrap_or(0)));
    }
}
