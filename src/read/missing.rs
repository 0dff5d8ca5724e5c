//! A view that is not there: whether there is none, or the store has lost it.
//!
//! Every view stands in the index of its space's keys. One that stands there and is gone was not
//! removed by us, so the space is given up, and rebuilt.

use std::ops::Bound;

use bytes::Bytes;

use crate::contract::{Key, Partition};
use crate::ports::{KEY_INDEX, RangeQuery, StoreError};

use super::generations::Live;
use super::lane::Mend;
use super::queries::{Entry, Views};
use super::workspace::doc_key;

/// How often index and view are looked at until nothing is committed between the two.
const ATTEMPTS_MAX: usize = 5;

impl Views {
    /// Whether the store has lost the view under a key; its lane is told. Parts of merged views
    /// are missing more often than not, and are not looked at.
    pub(super) async fn has_lost(
        &self,
        entry: &Entry,
        live: &Live,
        key: &Key,
    ) -> Result<bool, StoreError> {
        let home = entry.projection.partition_of(key, self.0.log.partitions());
        let Some(partition) = home else { return Ok(false) };
        let Some(space) = live.space(partition) else { return Ok(false) };
        let doc = [doc_key(key.as_str())];
        let member = Bytes::copy_from_slice(doc[0].as_bytes());
        let query = RangeQuery {
            index: KEY_INDEX.to_owned(),
            from: Bound::Included(member.clone()),
            to: Bound::Included(member),
            limit: 1,
            descending: false,
        };
        for _ in 0..ATTEMPTS_MAX {
            let (state, listed) = self.0.store.range(space, &query).await?;
            if listed.is_empty() {
                return Ok(false);
            }
            let (same, values) = self.0.store.read(space, &doc).await?;
            if values.iter().any(Option::is_some) {
                return Ok(false); // it has come meanwhile
            }
            if same == state {
                tracing::error!(%space, %key, "the view store has lost a view");
                live.give_up(partition);
                return Ok(true);
            }
        }
        Ok(false)
    }
}

impl Live {
    /// Tells a lane that its space has lost something.
    pub(super) fn give_up(&self, partition: Partition) {
        if let Some(lane) = self.mends.get(partition.0 as usize) {
            // A full queue has this in it, or will be asked again.
            drop(lane.try_send(Mend::GiveUp));
        }
    }
}
