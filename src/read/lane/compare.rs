//! Holds what was built beside what is live: the same views, the same bytes, the same places in
//! every index.
//!
//! The live space is read page by page, each read with its checkpoint; then this lane goes on to
//! exactly there, and what is different as of one position is a difference. So the service serves
//! and the live space moves while it is compared.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use bytes::Bytes;
use tokio::time::sleep;

use crate::contract::{Offset, Position};
use crate::log::Checkpoint;
use crate::ports::{KEY_INDEX, Listed, RangeQuery, Space, SpaceState};

use super::super::comparison::{Compared, Difference, What, shown};
use super::super::inlet::Inlet;
use super::super::status::{LaneState, ViewKind};
use super::super::workspace::key_of_doc;
use super::{Halt, Lane, RETRY_DELAY, parked_in};

/// Members of an index that are compared at once.
const PAGE_LEN: usize = 200;

/// How often in a row a live space that is behind is looked at, [`RETRY_DELAY`] apart.
const LOOKS_MAX: u32 = 50;

/// Why a comparison does not go on.
enum Stop {
    Halt(Halt),
    /// There is nothing to compare with, or not any more.
    Incomplete(&'static str),
}

/// A page of an index.
struct Page {
    /// Where it ends.
    to: Bound<Bytes>,
    /// What only one side has, and whether that is the live one.
    odd: BTreeMap<Bytes, bool>,
    both: Vec<Bytes>,
    at: Position,
}

impl Lane {
    pub(super) async fn compare(&mut self, inlet: &mut Inlet, live: &Space) -> Result<(), Halt> {
        self.compared = Compared::default();
        match self.compare_all(inlet, live).await {
            Ok(()) => {}
            Err(Stop::Halt(halt)) => return Err(halt),
            Err(Stop::Incomplete(why)) => {
                tracing::warn!(space = %self.parts.space, why, "views were not compared");
                self.compared.incomplete = Some(why.to_owned());
            }
        }
        self.say(LaneState::Comparing);
        Ok(())
    }

    async fn compare_all(&mut self, inlet: &mut Inlet, live: &Space) -> Result<(), Stop> {
        let projection = self.parts.projection.clone();
        for index in [KEY_INDEX].into_iter().chain(projection.indexes().names()) {
            let mut from = Bound::Unbounded;
            loop {
                let page = self.page(inlet, live, index, from).await?;
                if index == KEY_INDEX {
                    self.compare_views(inlet, live, &page).await?;
                } else {
                    self.compare_members(live, index, &page).await?;
                }
                self.say(LaneState::Comparing);
                let rate = self.build.as_ref().and_then(|build| build.rate.clone());
                if let Some(rate) = rate.filter(|_| index == KEY_INDEX) {
                    rate.pay(page.both.len() + page.odd.len()).await;
                }
                match page.to {
                    Bound::Unbounded => break,
                    to => from = after(to),
                }
            }
        }
        Ok(())
    }

    /// The next page of an index on both sides, as of one position.
    async fn page(
        &mut self,
        inlet: &mut Inlet,
        live: &Space,
        index: &str,
        from: Bound<Bytes>,
    ) -> Result<Page, Stop> {
        let query = |to: Bound<Bytes>, limit| {
            let (index, from) = (index.to_owned(), from.clone());
            RangeQuery { index, from, to, limit, descending: false }
        };
        let mut looks = 0;
        let (mut members, at) = loop {
            let range = query(Bound::Unbounded, PAGE_LEN);
            let (state, members) = self.parts.store.range(live, &range).await?;
            if let Some(at) = self.reach(inlet, &state, &mut looks).await? {
                break (members, at);
            }
        };
        let mut to = match members.last() {
            Some(last) if members.len() == PAGE_LEN => Bound::Included(last.clone()),
            _ => Bound::Unbounded,
        };
        let range = query(to.clone(), 2 * PAGE_LEN);
        let (state, own) = self.parts.store.range(&self.parts.space, &range).await?;
        self.check_own(&state)?;
        // Far more than there are live: the page ends where these end.
        if let Some(last) = own.last().filter(|_| own.len() == range.limit) {
            members.retain(|member| member <= last);
            to = Bound::Included(last.clone());
        }
        let mut page = Page { to, odd: BTreeMap::new(), both: Vec::new(), at };
        let mut own: BTreeSet<Bytes> =
            own.into_iter().filter(|member| self.is_in_sample(member)).collect();
        for member in members.into_iter().filter(|member| self.is_in_sample(member)) {
            match own.remove(&member) {
                true => page.both.push(member),
                false => drop(page.odd.insert(member, true)),
            }
        }
        page.odd.extend(own.into_iter().map(|member| (member, false)));
        Ok(page)
    }

    fn is_in_sample(&self, member: &Bytes) -> bool {
        let Some(sample) = self.sample() else { return true };
        sample.has(key_of_doc(&doc_of(member)))
    }

    async fn compare_views(
        &mut self,
        inlet: &mut Inlet,
        live: &Space,
        page: &Page,
    ) -> Result<(), Stop> {
        let members = page.both.iter().chain(page.odd.keys());
        let docs: Vec<String> =
            members.map(|member| String::from_utf8_lossy(member).into_owned()).collect();
        for docs in docs.chunks(PAGE_LEN) {
            let mut looks = 0;
            let (theirs, at) = loop {
                let (state, values) = self.parts.store.read(live, docs).await?;
                if let Some(at) = self.reach(inlet, &state, &mut looks).await? {
                    break (values, at);
                }
            };
            let (state, ours) = self.parts.store.read(&self.parts.space, docs).await?;
            self.check_own(&state)?;
            for (doc, (theirs, ours)) in docs.iter().zip(theirs.iter().zip(&ours)) {
                self.compared.views += 1;
                let is_odd = page.odd.contains_key(doc.as_bytes());
                if theirs == ours && !is_odd || self.is_put_aside(live, doc).await? {
                    continue;
                }
                let (of, at) = match theirs == ours {
                    true => (What::Index(KEY_INDEX.to_owned()), page.at),
                    false => (What::View, at),
                };
                self.differs(key_of_doc(doc), of, at, theirs.as_ref(), ours.as_ref());
            }
        }
        Ok(())
    }

    async fn compare_members(
        &mut self,
        live: &Space,
        index: &str,
        page: &Page,
    ) -> Result<(), Stop> {
        for (member, is_live) in &page.odd {
            let doc = doc_of(member);
            if !self.is_put_aside(live, &doc).await? {
                let (theirs, ours) = (is_live.then_some(member), (!is_live).then_some(member));
                let of = What::Index(index.to_owned());
                self.differs(key_of_doc(&doc), of, page.at, theirs, ours);
            }
        }
        Ok(())
    }

    fn differs(
        &mut self,
        key: &str,
        of: What,
        position: Position,
        live: Option<&Bytes>,
        log: Option<&Bytes>,
    ) {
        let projection = self.parts.projection.name().as_str();
        tracing::error!(projection, key, %position, "a live view is not what the log makes of it");
        let (live, log) = (live.map(shown), log.map(shown));
        let key = key.to_owned();
        self.compared.count(Difference { projection, key, of, position, live, log });
    }

    /// Whether either side holds the view's aggregate back: then it need not be the same. Views
    /// that are merged of many aggregates are never put aside.
    async fn is_put_aside(&self, live: &Space, doc: &str) -> Result<bool, Stop> {
        let ViewKind::Aggregate(of) = self.parts.projection.kind() else { return Ok(false) };
        let aggregate = format!("{of}/{}", key_of_doc(doc));
        let parked = parked_in(&*self.parts.store, live).await?;
        Ok(parked.contains_key(&aggregate) || self.parked.contains_key(&aggregate))
    }

    /// Goes on to exactly where the live space is, and says which record is the last; nothing
    /// when that is behind: look again.
    async fn reach(
        &mut self,
        inlet: &mut Inlet,
        live: &SpaceState,
        looks: &mut u32,
    ) -> Result<Option<Position>, Stop> {
        let Some(checkpoint) = live.checkpoint() else {
            return Err(Stop::Incomplete("the live views were lost or dropped meanwhile"));
        };
        if checkpoint.next < self.tracker.next() {
            *looks += 1;
            if *looks > LOOKS_MAX {
                return Err(Stop::Incomplete("the live views stand still"));
            }
            sleep(RETRY_DELAY).await;
            return Ok(None);
        }
        self.advance(inlet, checkpoint.next, None).await?;
        // What is mended in place leaves a commit's id; nothing else may differ.
        let plain = Checkpoint { commit: None, ..*checkpoint };
        if self.state.checkpoint() != Some(&plain) {
            let wrong = "the live views are not as of a position of this log";
            return Err(Stop::Incomplete(wrong));
        }
        let offset = Offset(checkpoint.next.0 - 1);
        Ok(Some(Position { partition: self.parts.space.partition, offset }))
    }

    fn check_own(&self, state: &SpaceState) -> Result<(), Stop> {
        if self.is_own(state) { Ok(()) } else { Err(Stop::Halt(self.moved(state))) }
    }
}

/// The stored key of the view that a member lists.
fn doc_of(member: &[u8]) -> String {
    String::from_utf8_lossy(Listed::key_of(member)).into_owned()
}

fn after(to: Bound<Bytes>) -> Bound<Bytes> {
    match to {
        Bound::Included(last) => Bound::Excluded(last),
        other => other,
    }
}

impl<E> From<E> for Stop
where
    Halt: From<E>,
{
    fn from(error: E) -> Self {
        Self::Halt(Halt::from(error))
    }
}
