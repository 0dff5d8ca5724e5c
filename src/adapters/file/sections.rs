//! Where the records of a partition stand in a file, and reading them.
//!
//! A run writes partition after partition, so there are only as many sections as there were runs
//! times partitions, and a partition is read without the others.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::vec;

use async_trait::async_trait;

use crate::contract::Partition;
use crate::ports::{Commits, CopyError, Counted, LeftBehind};

use super::format::{self, Line};
use super::lines::Lines;
use super::{disk, failed};

/// Bytes of lines that are read at once, at most about.
const BATCH_BYTES_MAX: u64 = 1 << 20;

/// Lines in a row that are of one partition.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Section {
    partition: Partition,
    /// Its first byte.
    from: u64,
    /// The byte after its last.
    to: u64,
}

/// Reads the records of one partition.
pub(super) struct FileCommits(Option<Reading>);

struct Reading {
    path: PathBuf,
    sections: vec::IntoIter<Section>,
    /// The section that is read, and how many of its bytes are left.
    open: Option<(Lines, u64)>,
}

impl Section {
    /// Notes a line behind those that were noted.
    pub(super) fn add(sections: &mut Vec<Self>, partition: Partition, from: u64, to: u64) {
        match sections.last_mut() {
            Some(last) if last.partition == partition && last.to == from => last.to = to,
            _ => sections.push(Self { partition, from, to }),
        }
    }
}

impl FileCommits {
    pub(super) fn new(path: &Path, sections: &[Section], partition: Partition) -> Self {
        let of_it = |section: &&Section| section.partition == partition;
        let sections: Vec<_> = sections.iter().filter(of_it).copied().collect();
        let sections = sections.into_iter();
        Self(Some(Reading { path: path.to_owned(), sections, open: None }))
    }
}

#[async_trait]
impl Commits for FileCommits {
    async fn next(&mut self) -> Result<Vec<Counted>, CopyError> {
        let gone = || CopyError::File("the reader has failed before".to_owned());
        let mut reading = self.0.take().ok_or_else(gone)?;
        let (reading, batch) = disk(move || {
            let batch = reading.next()?;
            Ok((reading, batch))
        })
        .await?;
        self.0 = Some(reading);
        Ok(batch)
    }

    fn left_behind(&self) -> LeftBehind {
        LeftBehind::default() // they did when the file was written
    }
}

impl Reading {
    fn next(&mut self) -> Result<Vec<Counted>, CopyError> {
        let mut batch = Vec::new();
        let mut bytes = 0;
        while bytes < BATCH_BYTES_MAX {
            match &mut self.open {
                Some((lines, left)) if *left > 0 => {
                    let (len, record) = read(&self.path, lines)?;
                    *left = left.saturating_sub(len);
                    bytes += len;
                    batch.push(record);
                }
                _ => match self.sections.next() {
                    Some(Section { from, to, .. }) => {
                        let opened = File::open(&self.path);
                        let lines = opened.and_then(|file| Lines::from(file, from));
                        let lines = lines.map_err(|error| failed(&self.path, error))?;
                        self.open = Some((lines, to - from));
                    }
                    None => break,
                },
            }
        }
        Ok(batch)
    }
}

fn read(path: &Path, lines: &mut Lines) -> Result<(u64, Counted), CopyError> {
    let line = lines.next().map_err(|error| failed(path, error))?;
    let line = line.filter(|line| line.has_end).map(|line| line.text);
    let record = line.and_then(|line| match format::read(line) {
        Ok(Line::Record(_, record)) => Some((line.len() as u64 + 1, record)),
        _ => None,
    });
    record.ok_or_else(|| failed(path, "it was changed while it was read"))
}
