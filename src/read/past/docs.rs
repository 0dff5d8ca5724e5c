//! What `history` and `traces` have stored, as of at least the positions that a query names.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::try_join_all;
use serde::de::DeserializeOwned;

use crate::contract::{Partition, Position, Positions, Target};
use crate::ports::StoreError;

use super::super::generations::Live;
use super::super::queries::{Entry, Inner, Miss, position};
use super::super::query_error::QueryError;
use super::super::waiting::Waiting;
use super::super::workspace::doc_key;

/// The values of the same keys in several partitions, each with the position that it is of.
pub(in super::super) struct Docs {
    pub(in super::super) live: Arc<Live>,
    pub(in super::super) parts: Vec<(Position, Vec<Option<Bytes>>)>,
}

impl Docs {
    /// Nobody is told of a history without what could not be read.
    pub(super) fn check_parked(&self, target: &Target, home: Partition) -> Result<(), QueryError> {
        let progress = self.live.lanes[home.0 as usize].borrow();
        let Some(parked) = progress.parked.get(target.as_str()) else { return Ok(()) };
        let detail = format!("record {}: {}", parked.position, parked.error);
        Err(QueryError::Unreadable { what: target.to_string(), detail })
    }
}

impl Inner {
    /// Reads these keys of one of Retell's own projections in these partitions.
    pub(super) async fn docs(
        &self,
        name: &str,
        homes: &[Partition],
        keys: &[String],
        after: &Positions,
        wait: Duration,
    ) -> Result<Docs, QueryError> {
        let unknown = || QueryError::UnknownProjection(name.to_owned());
        let entry = self.entries.get(name).ok_or_else(unknown)?;
        let keys: Vec<String> = keys.iter().map(|key| doc_key(key)).collect();
        self.stored(entry, homes, &keys, after, wait).await
    }

    /// Reads what is stored under these keys in these partitions.
    pub(in super::super) async fn stored(
        &self,
        entry: &Entry,
        homes: &[Partition],
        keys: &[String],
        after: &Positions,
        wait: Duration,
    ) -> Result<Docs, QueryError> {
        self.check(after)?;
        let mut waiting = Waiting::new(self, entry, after, wait);
        loop {
            let live = waiting.live().await?;
            match self.look_at_docs(&live, homes, keys, after).await? {
                Ok(parts) => return Ok(Docs { live, parts }),
                Err(miss) => waiting.missed(&live, miss).await?,
            }
        }
    }

    /// Or what the first partition lacks that has not come far enough.
    async fn look_at_docs<'k>(
        &self,
        live: &Live,
        homes: &[Partition],
        keys: &'k [String],
        after: &Positions,
    ) -> Result<Result<Vec<(Position, Vec<Option<Bytes>>)>, Miss>, QueryError> {
        let asked = after.iter().map(|position| position.partition);
        let others = asked.filter(|partition| !homes.contains(partition));
        let read = |home: Partition, keys: &'k [String]| async move {
            let space = live.space(home).expect("positions were checked against the partitions");
            let (state, values) = self.store.read(space, keys).await?;
            let at = position(state.checkpoint().copied(), after, live, home);
            Ok::<_, QueryError>(at.map(|at| (at, values)))
        };
        let reads = homes.iter().map(|&home| read(home, keys));
        let reads = reads.chain(others.map(|other| read(other, &[])));
        let mut parts: Result<Vec<_>, Miss> = try_join_all(reads).await?.into_iter().collect();
        if let Ok(parts) = &mut parts {
            parts.truncate(homes.len());
        }
        Ok(parts)
    }

    /// Reads more keys of the partition, of the same generation.
    pub(super) async fn more_docs(
        &self,
        live: &Live,
        home: Partition,
        keys: &[String],
    ) -> Result<Vec<Option<Bytes>>, QueryError> {
        let keys: Vec<String> = keys.iter().map(|key| doc_key(key)).collect();
        let read = self.look_at_docs(live, &[home], &keys, &Positions::default()).await?;
        match read.ok().and_then(|parts| parts.into_iter().next()) {
            Some((_, values)) => Ok(values),
            None => Err(QueryError::Behind(format!("partition {home} is being rebuilt"))),
        }
    }
}

/// What is stored, as its type.
pub(super) fn read<T: DeserializeOwned>(live: &Live, json: &[u8]) -> Result<T, QueryError> {
    serde_json::from_slice(json).map_err(|error| {
        let space = live.spaces.first().map(ToString::to_string).unwrap_or_default();
        StoreError::Torn { space, detail: error.to_string() }.into()
    })
}
