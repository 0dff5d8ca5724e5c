//! Sealing a segment of places: its pages go into the state space, a few with each commit, and
//! then a filter takes its place in memory.
//!
//! What is under way is begun anew when it is broken off: nobody looks at a page before the list
//! of segments says that it is there.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::task::JoinSet;

use crate::log::Checkpoint;
use crate::ports::Change;

use super::filter::Filter;
use super::key_space;
use super::outcomes::{PageName, Sealed, SegmentNumber};
use super::places::Places;
use super::saving::Saving;
use super::setback::Setback;
use super::space::Cut;
use super::writer::Writer;

/// Places that are sorted in one go: less than a tenth of a millisecond.
const SORTED_AT_ONCE: usize = 4_096;

/// The segment that is being sealed, if one is.
#[derive(Default)]
pub(super) struct Sealing {
    building: JoinSet<Built>,
    built: Option<Built>,
}

/// A segment that is sorted into pages.
struct Built {
    number: SegmentNumber,
    sealed: Sealed,
    filter: Filter,
    /// Those that are not stored yet.
    pages: VecDeque<Change>,
}

impl Writer {
    /// Goes on with sealing, by one commit at most, if nothing else is to be stored.
    pub(super) fn seal(&mut self) {
        if self.saving.is_idle()
            && let Some(stored) = self.saving.state.checkpoint().copied()
            && self.begin_sealing()
        {
            let ended = self.saving.sealing.building.try_join_next();
            self.take_built(ended.and_then(Result::ok));
            self.store_pages(&stored);
        }
    }

    /// Seals all that is closed, and waits for it: for a writer that reads a long log.
    pub(super) async fn seal_now(&mut self) -> Result<(), Setback> {
        while self.outcomes.closed_len() > 1 {
            while self.save_now().await? {}
            let Some(stored) = self.saving.state.checkpoint().copied() else { return Ok(()) };
            if self.begin_sealing() {
                let ended = self.saving.sealing.building.join_next().await;
                self.take_built(ended.and_then(Result::ok));
                self.store_pages(&stored);
            }
        }
        Ok(())
    }

    /// Whether there is something to be sealed.
    fn begin_sealing(&mut self) -> bool {
        let Sealing { building, built } = &mut self.saving.sealing;
        if built.is_none() && building.is_empty() {
            let Some((number, places)) = self.outcomes.closed() else { return false };
            building.spawn(build(number, places));
        }
        true
    }

    fn take_built(&mut self, built: Option<Built>) {
        if let Some(built) = built {
            self.saving.sealing.built = Some(built);
        }
    }

    /// Stores the next pages; when there are none, the filter.
    fn store_pages(&mut self, stored: &Checkpoint) {
        let Some(built) = &mut self.saving.sealing.built else { return };
        let pages_max = self.saving.space.pages_max();
        let at_once = built.pages.len().min(pages_max);
        let mut changes: Vec<Change> = built.pages.drain(..at_once).collect();
        let mut seals = None;
        if changes.is_empty() {
            let Built { number, sealed, filter, .. } = built;
            seals = Some(*number);
            changes.extend(key_space::seal(*number, filter));
            changes.push(key_space::list(&self.outcomes.listed(Some((*number, *sealed)))));
        }
        let until = Checkpoint { commit: Some(self.shared.ids.next()), ..*stored };
        let (states, keys) = (Vec::new(), Vec::new());
        self.begin_commit(Arc::new(Cut {
            until,
            states,
            keys,
            changes,
            seals,
            is_waypoint: false,
        }));
    }

    /// Takes the filter of a segment whose pages are all stored.
    pub(super) fn sealed(&mut self, number: SegmentNumber) {
        let built = self.saving.sealing.built.take_if(|built| built.number == number);
        if let Some(Built { filter, sealed, .. }) = built {
            self.outcomes.seal(number, filter, sealed);
        }
    }
}

impl Saving {
    /// Whether nothing is under way, and nothing waits to be tried again.
    fn is_idle(&self) -> bool {
        self.task.is_empty() && self.cut.is_none() && self.retry.is_none()
    }
}

/// Sorts places into pages, beside everything else.
async fn build(number: SegmentNumber, places: Arc<Places>) -> Built {
    let sealed = Sealed::of(places.len());
    let mut filter = Filter::new(places.len());
    let mut pages = vec![Vec::new(); sealed.pages];
    for (at, (hash, offset)) in places.iter().enumerate() {
        filter.add(hash);
        pages[sealed.page_of(hash)].extend(key_space::packed(hash, offset));
        if at % SORTED_AT_ONCE == SORTED_AT_ONCE - 1 {
            tokio::task::yield_now().await;
        }
    }
    let page = |(page, packed)| key_space::page(PageName { segment: number, page }, packed);
    Built { number, sealed, filter, pages: pages.into_iter().enumerate().map(page).collect() }
}
