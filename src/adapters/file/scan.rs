//! Looks through a whole file before anything is made of it: every line, and whether it is whole.

use std::fs::File;
use std::path::Path;

use crate::contract::Partition;
use crate::log::{Digest, Partitions, Sum};
use crate::ports::{CopyError, Origin};

use super::format::{self, BEGINNING, Header, Line, Seal};
use super::lines::Lines;
use super::sections::Section;
use super::{failed, wrong_line};

/// What is in a file.
pub(super) struct Index {
    pub(super) origin: Origin,
    /// Where the records are.
    pub(super) sections: Vec<Section>,
    /// The commits of each partition, by its number.
    pub(super) digests: Vec<Digest>,
    /// Behind the last line that can stay when another run adds something.
    pub(super) place: Place,
    /// Whether nothing is behind that place, and the last line is the end of the last partition.
    pub(super) is_whole: bool,
    /// How many lines there are.
    lines: u64,
    /// The line at which it was whole last; 0 if never.
    whole_line: u64,
}

/// Between two lines.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Place {
    /// Bytes before it.
    pub(super) at: u64,
    /// What the lines before it come to.
    pub(super) seal: Seal,
}

/// Where the look stands.
struct Scan {
    index: Index,
    /// How many partitions have ended since the last record.
    ended: u32,
}

/// Looks through a file; none when it is empty, or not even its first line was finished.
pub(super) fn scan(path: &Path, file: File) -> Result<Option<Index>, CopyError> {
    let io = |error| failed(path, error);
    let mut lines = Lines::from(file, 0).map_err(io)?;
    let Some(first) = lines.next().map_err(io)? else { return Ok(None) };
    if !first.has_end {
        let is_half = first.text.starts_with(BEGINNING) || BEGINNING.starts_with(first.text);
        let other = || wrong_line(path, 1, "is no copy of a log");
        return is_half.then_some(None).ok_or_else(other);
    }
    let mut here = Place::default();
    let index = begin(path, first.text, &mut here)?;
    let mut scan = Scan { index, ended: 0 };
    while let Some(line) = lines.next().map_err(io)? {
        scan.index.lines += 1;
        scan.index.is_whole = false;
        if !line.has_end {
            break;
        }
        let from = here.at;
        here.at += line.text.len() as u64 + 1;
        let sealed = format::check_seal(line.text, &mut here.seal);
        let read = sealed.and_then(|()| format::read(line.text));
        read.and_then(|line| scan.take(line, from, here))
            .map_err(|what| wrong_line(path, scan.index.lines, what))?;
    }
    Ok(Some(scan.index))
}

fn begin(path: &Path, line: &[u8], here: &mut Place) -> Result<Index, CopyError> {
    let read = Header::read(line).and_then(|header| {
        format::check_seal(line, &mut here.seal)?;
        Ok(header)
    });
    let Header { partitions, hash, logs, .. } = read.map_err(|what| wrong_line(path, 1, what))?;
    here.at = line.len() as u64 + 1;
    let count = Partitions::new(partitions).expect("the header was checked");
    Ok(Index {
        origin: Origin { partitions: count, hash, logs },
        sections: Vec::new(),
        digests: vec![Digest::default(); partitions as usize],
        place: *here,
        is_whole: false,
        lines: 1,
        whole_line: 0,
    })
}

impl Scan {
    fn take(&mut self, line: Line, from: u64, here: Place) -> Result<(), String> {
        match line {
            Line::Record(partition, record) => {
                if self.ended > 0 {
                    return Err(format!("the end of partition {} must come first", self.ended));
                }
                let digest = self.index.digests.get_mut(partition.0 as usize);
                let digest = digest.ok_or_else(|| format!("there is no partition {partition}"))?;
                digest.add(record.key.as_deref(), &record.value);
                Section::add(&mut self.index.sections, partition, from, here.at);
                self.index.place = here;
            }
            Line::End(partition, sum) => {
                self.check_end(partition, &sum)?;
                self.ended += 1;
                if self.ended == self.index.origin.partitions.count() {
                    self.ended = 0;
                    self.index.place = here;
                    self.index.is_whole = true;
                    self.index.whole_line = self.index.lines;
                }
            }
        }
        Ok(())
    }

    fn check_end(&self, partition: Partition, sum: &Sum) -> Result<(), String> {
        if partition.0 != self.ended {
            return Err(format!("the end of partition {} must come first", self.ended));
        }
        let found = self.index.digests[partition.0 as usize].sum();
        if *sum == found {
            return Ok(());
        }
        Err(format!(
            "partition {partition} must have {} records that come to {}, but has {} that come to \
             {}",
            sum.records, sum.sha256, found.records, found.sha256
        ))
    }
}

impl Index {
    /// # Errors
    /// It was cut off; the message says where it was whole last.
    pub(super) fn check_whole(&self, path: &Path) -> Result<(), CopyError> {
        if self.is_whole {
            return Ok(());
        }
        let mend = match self.whole_line {
            0 => String::new(),
            line => format!(", or take `head -n {line}` of it, which was whole"),
        };
        let what = format!(
            "the copy ends here and is not whole: it was broken off, or the file cut; copy to it \
             again and it goes on{mend}"
        );
        Err(wrong_line(path, self.lines, what))
    }
}
