//! The log on disk: a fjall database with a keyspace per partition, offsets as keys.
//!
//! Offsets are contiguous from 0, so a missing one is damage, never a hole. Since keys only ever
//! grow, fjall moves finished tables down without rewriting them. All functions block on the disk.

use std::path::Path;

use bytes::Bytes;
use fjall::config::{BlockSizePolicy, CompressionPolicy};
use fjall::{CompressionType, Database, Keyspace, KeyspaceCreateOptions, PersistMode};

use crate::contract::{Offset, Partition, Time};
use crate::log::Partitions;
use crate::ports::{Chunk, LogError};

use super::super::folder::{DatabaseError, Folder, FolderError};
use super::record;
use super::tail::Limit;
use super::write::Write;

/// The keyspace with what holds for the whole log.
const META: &str = "log";
/// Its key with the number of partitions, in decimal.
const META_PARTITIONS: &str = "partitions";

const MEMTABLE_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// The log is read in order, so larger blocks cost nothing and compress better.
const BLOCK_BYTES: u32 = 16 * 1024;

/// An open database in a folder that this process has locked.
pub(super) struct Store {
    partitions: Vec<StoredPartition>,
    database: Database,
    /// Dropped last: the lock outlives the database.
    _folder: Folder,
}

/// One partition. Cloning is cheap.
#[derive(Clone)]
pub(super) struct StoredPartition {
    partition: Partition,
    keyspace: Keyspace,
}

impl Store {
    /// Opens the log in `dir`, or makes one with this many partitions.
    pub(super) fn open(dir: &Path, partitions: Partitions) -> Result<Self, LogError> {
        let folder = Folder::lock(dir).map_err(not_opened)?;
        let database =
            folder.open_store(|database| create(database, partitions)).map_err(not_opened)?;
        check_partitions(stored_partitions(&database, dir)?, dir, partitions)?;
        Self::open_partitions(folder, database, partitions)
    }

    /// Opens the log in `dir` with as many partitions as it has.
    pub(super) fn open_existing(dir: &Path) -> Result<Self, LogError> {
        if !Folder::has_store(dir) {
            return Err(LogError::Settings(vec![format!("there is no log in {}", dir.display())]));
        }
        let folder = Folder::lock(dir).map_err(not_opened)?;
        let database = folder.open_store(|_| Ok(())).map_err(not_opened)?;
        let partitions = stored_partitions(&database, dir)?;
        Self::open_partitions(folder, database, partitions)
    }

    fn open_partitions(
        folder: Folder,
        database: Database,
        partitions: Partitions,
    ) -> Result<Self, LogError> {
        let open = |partition| {
            let name = keyspace_name(partition);
            if !database.keyspace_exists(&name) {
                return Err(LogError::Damaged(format!("partition {partition} is missing")));
            }
            let keyspace = database.keyspace(&name, keyspace_options);
            Ok(StoredPartition { partition, keyspace: keyspace.map_err(damaged)? })
        };
        let partitions = partitions.iter().map(open).collect::<Result<_, _>>()?;
        Ok(Self { partitions, database, _folder: folder })
    }

    /// Each partition, by its number.
    pub(super) fn partitions(&self) -> &[StoredPartition] {
        &self.partitions
    }

    /// What makes a batch durable: one write to the journal and one fsync. Only after these it
    /// can be read.
    pub(super) fn commit(&self) -> impl FnMut(Vec<Write>) -> Result<(), DatabaseError> + use<> {
        let (database, partitions) = (self.database.clone(), self.partitions.clone());
        move |writes| {
            let mut batch = database.batch().durability(Some(PersistMode::SyncAll));
            for Write { partition, offset, stored, .. } in writes {
                let keyspace = &partitions[partition.0 as usize].keyspace;
                batch.insert(keyspace, offset.0.to_be_bytes(), stored);
            }
            Ok(batch.commit()?)
        }
    }

    #[cfg(test)]
    pub(super) fn remove(&self, partition: Partition, offset: Offset) {
        let keyspace = &self.partitions[partition.0 as usize].keyspace;
        keyspace.remove(offset.0.to_be_bytes()).expect("removed");
    }
}

impl StoredPartition {
    /// The end, and the time of the last record.
    pub(super) fn end(&self) -> Result<(Offset, Time), LogError> {
        let Some(last) = self.keyspace.last_key_value() else {
            return Ok((Offset(0), Time::default()));
        };
        let (key, value) = last.into_inner().map_err(damaged)?;
        let Ok(key) = <[u8; 8]>::try_from(&*key) else {
            let partition = self.partition;
            return Err(LogError::Damaged(format!("partition {partition}: a key is no offset")));
        };
        let last = Offset(u64::from_be_bytes(key));
        let time = record::time_of(&value).map_err(|error| self.unreadable(last, error))?;
        Ok((last.next(), time))
    }

    /// The records from `from` on, which is before `end`, within limits.
    pub(super) fn read(
        &self,
        from: Offset,
        end: Offset,
        mut limit: Limit,
    ) -> Result<Chunk, LogError> {
        let mut records = Vec::new();
        let mut next = from;
        for stored in self.keyspace.range(from.0.to_be_bytes()..end.0.to_be_bytes()) {
            let (key, value) = stored.into_inner().map_err(damaged)?;
            if *key != next.0.to_be_bytes() {
                return Err(self.missing(next));
            }
            let record = record::decode(next, &Bytes::from(value))
                .map_err(|error| self.unreadable(next, error))?;
            if !limit.admits(&record) {
                return Ok(Chunk { records, at_end: false });
            }
            records.push(record);
            next = next.next();
        }
        if next < end {
            return Err(self.missing(next));
        }
        Ok(Chunk { records, at_end: true })
    }

    /// The first offset whose record is at or after `time`, else `end`. Times never go back
    /// within a partition.
    pub(super) fn first_at(&self, end: Offset, time: Time) -> Result<Offset, LogError> {
        let (mut low, mut high) = (0, end.0);
        while low < high {
            let middle = Offset(low + (high - low) / 2);
            let stored = self.keyspace.get(middle.0.to_be_bytes());
            let stored = stored.map_err(damaged)?;
            let stored = stored.ok_or_else(|| self.missing(middle))?;
            let at = record::time_of(&stored).map_err(|error| self.unreadable(middle, error))?;
            if at < time {
                low = middle.0 + 1;
            } else {
                high = middle.0;
            }
        }
        Ok(Offset(low))
    }

    fn missing(&self, offset: Offset) -> LogError {
        LogError::Damaged(format!("record {}@{offset} is missing", self.partition))
    }

    fn unreadable(&self, offset: Offset, error: record::Unreadable) -> LogError {
        LogError::Damaged(format!("record {}@{offset}: {error}", self.partition))
    }
}

fn create(database: &Database, partitions: Partitions) -> fjall::Result<()> {
    for partition in partitions.iter() {
        database.keyspace(&keyspace_name(partition), keyspace_options)?;
    }
    let meta = database.keyspace(META, KeyspaceCreateOptions::default)?;
    meta.insert(META_PARTITIONS, partitions.count().to_string())
}

fn stored_partitions(database: &Database, dir: &Path) -> Result<Partitions, LogError> {
    let meta = database.keyspace(META, KeyspaceCreateOptions::default);
    let stored = meta.and_then(|meta| meta.get(META_PARTITIONS)).map_err(damaged)?;
    let stored = stored.as_deref().and_then(|text| std::str::from_utf8(text).ok());
    let stored = stored.and_then(|text| text.parse().ok()).and_then(Partitions::new);
    stored.ok_or_else(|| {
        LogError::Damaged(format!("{} does not say how many partitions it has", dir.display()))
    })
}

fn check_partitions(stored: Partitions, dir: &Path, wanted: Partitions) -> Result<(), LogError> {
    if wanted == stored {
        return Ok(());
    }
    let (dir, stored) = (dir.display(), stored.count());
    Err(LogError::Settings(vec![format!(
        "the log in {dir} has {stored} partitions, log.partitions (RETELL_LOG__PARTITIONS) is {}: \
         set it to {stored}; the number of a log can never change",
        wanted.count(),
    )]))
}

fn keyspace_name(partition: Partition) -> String {
    format!("p{partition}")
}

fn keyspace_options() -> KeyspaceCreateOptions {
    KeyspaceCreateOptions::default()
        .max_memtable_size(MEMTABLE_BYTES_MAX)
        .data_block_size_policy(BlockSizePolicy::all(BLOCK_BYTES))
        // Tables are not rewritten, so what is not compressed at first never is.
        .data_block_compression_policy(CompressionPolicy::all(CompressionType::Lz4))
        .expect_point_read_hits(true)
}

fn not_opened(error: FolderError) -> LogError {
    match error {
        FolderError::Locked(_) => LogError::Unavailable(error.to_string()),
        FolderError::Io { .. }
        | FolderError::Store { error: DatabaseError(fjall::Error::Io(_)), .. } => {
            LogError::Settings(vec![error.to_string()])
        }
        FolderError::Store { .. } => LogError::Damaged(error.to_string()),
    }
}

fn damaged(error: fjall::Error) -> LogError {
    LogError::Damaged(DatabaseError(error).to_string())
}
