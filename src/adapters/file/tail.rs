//! The end of a file, where a run adds its lines. Nothing before it is ever changed.

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use crate::contract::Partition;
use crate::log::Digest;
use crate::ports::{CopyError, Counted, Origin};

use super::failed;
use super::format::{self, Header};
use super::lock::Lock;
use super::scan::{Index, Place};
use super::sections::Section;

/// Bytes that are written at once, at least.
const WRITE_BYTES_MIN: usize = 1 << 20;

/// A file that is added to.
pub(super) struct Tail {
    path: PathBuf,
    file: File,
    /// Nobody else adds to it.
    _lock: Lock,
    origin: Origin,
    sections: Vec<Section>,
    digests: Vec<Digest>,
    place: Place,
    state: State,
    /// Lines up to `place` that are not written yet.
    buffer: Vec<u8>,
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum State {
    /// As it was found: whole.
    Whole,
    /// As it was found: not whole, or empty.
    Found,
    /// Added to.
    Open,
    /// Something could not be written.
    Broken,
}

impl Tail {
    /// Behind what `index` found, or in an empty file.
    pub(super) fn new(
        path: PathBuf,
        (file, lock): (File, Lock),
        origin: Origin,
        index: Option<Index>,
    ) -> Self {
        let count = origin.partitions.count() as usize;
        let empty = (Vec::new(), vec![Digest::default(); count], Place::default(), State::Found);
        let (sections, digests, place, state) = index.map_or(empty, |index| {
            let state = if index.is_whole { State::Whole } else { State::Found };
            (index.sections, index.digests, index.place, state)
        });
        let buffer = Vec::new();
        Self { path, file, _lock: lock, origin, sections, digests, place, state, buffer }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Where the records are; all of them are written by now.
    pub(super) fn sections(&mut self) -> Result<&[Section], CopyError> {
        self.flush()?;
        Ok(&self.sections)
    }

    /// Makes ready: cuts off what another run has left half done.
    pub(super) fn begin(&mut self) -> Result<(), CopyError> {
        match self.state {
            State::Open => return Ok(()),
            State::Broken => return Err(failed(&self.path, "an earlier write has failed")),
            State::Whole | State::Found => {}
        }
        let at = self.place.at;
        let cut = self.file.set_len(at).and_then(|()| self.file.seek(SeekFrom::Start(at)));
        cut.map_err(|error| failed(&self.path, error))?;
        self.state = State::Open;
        if at == 0 {
            let Origin { partitions, hash, logs } = &self.origin;
            let header = Header::new(partitions.count(), hash.clone(), logs.clone());
            header.write(&mut self.buffer, &mut self.place.seal);
            self.place.at = self.buffer.len() as u64;
        }
        Ok(())
    }

    pub(super) fn add(
        &mut self,
        partition: Partition,
        records: &[Counted],
    ) -> Result<(), CopyError> {
        for record in records {
            let had = self.buffer.len();
            format::write_record(partition, record, &mut self.buffer, &mut self.place.seal);
            let from = self.place.at;
            self.place.at += (self.buffer.len() - had) as u64;
            Section::add(&mut self.sections, partition, from, self.place.at);
            self.digests[partition.0 as usize].add(record.key.as_deref(), &record.value);
            if self.buffer.len() >= WRITE_BYTES_MIN {
                self.flush()?;
            }
        }
        Ok(())
    }

    pub(super) fn flush(&mut self) -> Result<(), CopyError> {
        let written = self.file.write_all(&self.buffer);
        self.buffer.clear();
        written.map_err(|error| {
            self.state = State::Broken;
            failed(&self.path, error)
        })
    }

    /// Ends every partition, and waits for the disk.
    pub(super) fn finish(&mut self) -> Result<(), CopyError> {
        if self.state == State::Whole {
            return Ok(());
        }
        self.begin()?;
        for (partition, digest) in self.origin.partitions.iter().zip(&self.digests) {
            let had = self.buffer.len();
            format::write_end(partition, &digest.sum(), &mut self.buffer, &mut self.place.seal);
            self.place.at += (self.buffer.len() - had) as u64;
        }
        self.flush()?;
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or_else(|| Path::new("."));
        let synced = self.file.sync_all().and_then(|()| File::open(folder)?.sync_all());
        synced.map_err(|error| failed(&self.path, error))?;
        self.state = State::Whole;
        Ok(())
    }
}
