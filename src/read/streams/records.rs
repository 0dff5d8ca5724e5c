//! A stream of the log: every record with its mark, each once and in order.

use std::collections::{BTreeMap, VecDeque};

use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::broadcast::error::RecvError;

use crate::contract::{Offset, Partition, Position, Positions};
use crate::log::Fold;

use super::super::past::{LogItem, LogQuery};
use super::super::queries::{QueryError, Views};
use super::before;
use super::hub::{Hearing, Passed};

/// Records that are read at once when they were missed.
const PAGE_LEN: usize = 100;

/// The records of some partitions, from some positions on.
pub struct RecordStream {
    views: Views,
    hearing: Hearing,
    places: BTreeMap<Partition, Place>,
    ready: VecDeque<(Partition, LogItem)>,
    _room: OwnedSemaphorePermit,
}

/// Where the stream is in a partition.
struct Place {
    /// The offset after the last record that was told or is ready.
    next: Offset,
    /// What rules there, if it is known.
    rules: Option<Fold>,
    /// Up to where the log has to be read, because it was not heard.
    missed_to: Offset,
    /// The offset after the last record that was told.
    told: Offset,
}

impl Views {
    /// Follows the log: all partitions or one, behind these positions; a partition without one
    /// from now on.
    ///
    /// # Errors
    /// There are too many streams, or a position is not in the log.
    pub async fn follow_log(
        &self,
        partition: Option<Partition>,
        after: &Positions,
    ) -> Result<RecordStream, QueryError> {
        let inner = self.inner();
        let room = inner.streams.enter()?;
        inner.check(after)?;
        inner.check_positions(after).await?;
        let hearing = inner.streams.hub.hear().await;
        let homes = inner.log.partitions().iter();
        let homes = homes.filter(|home| partition.is_none_or(|asked| asked == *home));
        let place = |home: Partition| {
            let heard = hearing.nexts[home.0 as usize];
            let next = after.get(home).map_or(heard, Offset::next);
            (home, Place { next, rules: None, missed_to: heard, told: next })
        };
        let places = homes.map(place).collect();
        let (views, ready) = (self.clone(), VecDeque::new());
        Ok(RecordStream { views, hearing, places, ready, _room: room })
    }
}

impl RecordStream {
    /// Where a client goes on that has seen everything told so far.
    #[must_use]
    pub fn positions(&self) -> Positions {
        before(self.places.iter().map(|(&home, place)| (home, place.told)))
    }

    /// The next record; none when the process goes down.
    ///
    /// # Errors
    /// The log does not answer; the same may succeed later.
    pub async fn next(&mut self) -> Result<Option<(Position, LogItem)>, QueryError> {
        loop {
            if let Some((partition, item)) = self.ready.pop_front() {
                let offset = item.record.offset;
                let place = self.places.get_mut(&partition).expect("only these are read");
                place.told = offset.next();
                return Ok(Some((Position { partition, offset }, item)));
            }
            let missed = self.places.iter().find(|(_, place)| place.next < place.missed_to);
            if let Some(home) = missed.map(|(&home, _)| home) {
                self.read(home).await?;
                continue;
            }
            match self.hearing.heard.recv().await {
                Ok(passed) => self.take(&passed),
                Err(RecvError::Lagged(_)) => self.look(),
                Err(RecvError::Closed) => return Ok(None),
            }
        }
    }

    fn take(&mut self, passed: &Passed) {
        let Some(place) = self.places.get_mut(&passed.partition) else { return };
        let Some(rules) = place.rules.as_mut().filter(|_| passed.from <= place.next) else {
            // Something was missed, or nobody knows yet what rules: the log tells.
            place.missed_to = place.missed_to.max(passed.next);
            return;
        };
        for record in passed.records().iter().filter(|record| record.offset >= place.next) {
            let mark = rules.step(&record.stamp);
            let item = LogItem { record: record.clone(), mark };
            self.ready.push_back((passed.partition, item));
        }
        place.next = place.next.max(passed.next);
    }

    /// Looks how far the partitions have come, after something was missed.
    fn look(&mut self) {
        let nexts = self.views.inner().streams.hub.nexts();
        for (home, place) in &mut self.places {
            place.missed_to = place.missed_to.max(nexts[home.0 as usize].unwrap_or_default());
        }
    }

    async fn read(&mut self, partition: Partition) -> Result<(), QueryError> {
        let place = self.places.get_mut(&partition).expect("only these are read");
        let query = LogQuery { partition, from: place.next, limit: PAGE_LEN, wanted: &|_| true };
        let page = self.views.log_page(&query).await?;
        // At the end of the log everything there is has been read, though holes come after it.
        let end = if page.next.is_none() { place.missed_to } else { place.next };
        place.next = page.upto.max(end);
        place.rules = page.rules;
        self.ready.extend(page.items.into_iter().map(|item| (partition, item)));
        Ok(())
    }
}
