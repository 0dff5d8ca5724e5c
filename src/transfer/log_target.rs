//! A log as the target of a copy: a claim of its own, then the commits with new numbers.
//!
//! Every run that adds something claims the next term first. So nothing that an earlier run left
//! under way can count any more, and two copies at the same time cannot mix.

use std::sync::Arc;

use async_trait::async_trait;
use tokio::time::timeout;

use crate::contract::{Offset, Partition};
use crate::events::{Claim, RECORD_VERSION};
use crate::log::{Chain, Mark, PARTITION_HASH, Stamp, Term, Tracker};
use crate::ports::{
    AppendError, Appender, Commits, CopyError, CopyInto, CopySource, CopyTarget, Counted, EventLog,
    Ids, LeftBehind, LogReader, LogRecord, NewRecord, Origin, Report,
};

use super::claim::{CopyClaim, CopyOf, stranger};
use super::log_source::LogSource;
use super::reading::{PATIENCE, next_chunk};

/// The name under which a copy claims.
const NODE: &str = "log-copy";

/// A log that is to become a copy.
///
/// ```
/// # use std::sync::Arc;
/// # use retell::adapters::{SystemClock, memory::MemoryLog};
/// # use retell::{app::App, log::Partitions, write::SendOptions};
/// use retell::ports::{CopySource, Ids};
/// use retell::transfer::{LogSource, LogTarget, Phase, Progress, copy};
/// # use retell::doc::{Light, LightCommand};
///
/// # struct Unwatched;
/// # impl Progress for Unwatched {
/// #     fn begin(&self, _: Phase, _: u64) {}
/// #     fn advance(&self, _: u64) {}
/// #     fn say(&self, _: &str) {}
/// # }
/// # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let (partitions, clock) = (Partitions::new(4).expect("some"), Arc::new(SystemClock));
/// # let [old, new] = [(); 2].map(|()| Arc::new(MemoryLog::new(partitions, clock.clone())));
/// # let app = App::ephemeral().log(old.clone()).aggregate::<Light>(()).build().await?;
/// # app.ready().await;
/// let order = LightCommand::SwitchOn {};
/// let done = app.commands().send::<Light>("hall", order, SendOptions::default()).await?;
/// let source = LogSource::open(old).await?;
/// let target = LogTarget::new(new, source.origin().clone(), Ids::new(clock))?;
/// let report = copy(&source, &target, &Unwatched).await?;
/// assert!(report.is_equal() && report.copied() == 1);
/// # app.stop().await; Ok(()) }
/// ```
pub struct LogTarget {
    log: Arc<dyn EventLog>,
    origin: Origin,
    ids: Ids,
}

/// One partition of it.
struct LogInto {
    partition: Partition,
    reader: Box<dyn LogReader>,
    tracker: Tracker,
    has_ended: bool,
    log: Arc<dyn EventLog>,
    /// What is claimed with, when something is to be added.
    claim: Vec<u8>,
    sending: Option<Sending>,
}

/// What was added and is not settled.
struct Sending {
    appender: Box<dyn Appender>,
    term: Term,
    chain: Chain,
    in_flight: u64,
    reports: Vec<Report>,
}

impl LogTarget {
    /// A copy of `origin` in this log.
    ///
    /// # Errors
    /// The log has another number of partitions.
    pub fn new(log: Arc<dyn EventLog>, origin: Origin, ids: Ids) -> Result<Self, CopyError> {
        origin.check(log.partitions().count(), PARTITION_HASH)?;
        Ok(Self { log, origin, ids })
    }

    fn claim(&self, partition: Partition) -> Vec<u8> {
        let claim = Claim {
            v: RECORD_VERSION,
            claim_id: self.ids.next(),
            node: NODE.to_owned(),
            instance: self.ids.next(),
            address: String::new(),
            partitions: self.origin.partitions.count(),
            hash: self.origin.hash.clone(),
            time: self.ids.now(),
            policies: Vec::new(),
        };
        let of = self.origin.logs[partition.0 as usize];
        CopyClaim { claim, copy: CopyOf { of } }.encode()
    }
}

#[async_trait]
impl CopyTarget for LogTarget {
    fn at_once(&self) -> usize {
        usize::MAX
    }

    async fn open(&self, partition: Partition) -> Result<Box<dyn CopyInto>, CopyError> {
        Ok(Box::new(LogInto {
            partition,
            reader: self.log.reader(partition, Offset(0)).await?,
            tracker: Tracker::default(),
            has_ended: false,
            log: self.log.clone(),
            claim: self.claim(partition),
            sending: None,
        }))
    }

    async fn finish(&self) -> Result<(), CopyError> {
        Ok(()) // what is settled is durable, by the first law of the log
    }

    async fn copied(&self) -> Result<Box<dyn CopySource>, CopyError> {
        Ok(Box::new(LogSource::open(self.log.clone()).await?))
    }
}

#[async_trait]
impl Commits for LogInto {
    async fn next(&mut self) -> Result<Vec<Counted>, CopyError> {
        let mut counted = Vec::new();
        while counted.is_empty() && !self.has_ended {
            let chunk = next_chunk(self.reader.as_mut()).await?;
            self.has_ended = chunk.at_end;
            for record in chunk.records {
                if self.step(&record)? == Mark::Counts {
                    let LogRecord { offset, time, key, value, .. } = record;
                    counted.push(Counted { offset, time, key, value });
                }
            }
        }
        Ok(counted)
    }

    fn left_behind(&self) -> LeftBehind {
        let counters = self.tracker.counters();
        LeftBehind { void: counters.void, foreign: counters.foreign }
    }
}

#[async_trait]
impl CopyInto for LogInto {
    async fn begin(&mut self) -> Result<(), CopyError> {
        let appender = self.log.appender(self.partition).await?;
        let term = Term(self.tracker.fold().term.0.saturating_add(1));
        let mut sending =
            Sending { appender, term, chain: Chain(0), in_flight: 0, reports: Vec::new() };
        sending.append(None, Stamp::Claim { term }, &self.claim).await?;
        sending.settle().await?;
        match timeout(PATIENCE, self.read_to_claim()).await {
            Ok(read) => read?,
            Err(_) => return Err(self.lost("the claim was not found in time")),
        }
        self.sending = Some(sending);
        Ok(())
    }

    async fn add(&mut self, commits: &[Counted]) -> Result<(), CopyError> {
        let sending = self.sending.as_mut().expect("it has begun");
        for commit in commits {
            let stamp = Stamp::Commit { term: sending.term, chain: sending.chain };
            sending.append(commit.key.as_deref(), stamp, &commit.value).await?;
            sending.chain = sending.chain.next();
        }
        sending.appender.flush(); // on their way while the next ones are read
        Ok(())
    }

    async fn settle(&mut self) -> Result<(), CopyError> {
        match &mut self.sending {
            Some(sending) => sending.settle().await,
            None => Ok(()),
        }
    }
}

impl LogInto {
    /// Takes a record that must be a copy's, or void.
    fn step(&mut self, record: &LogRecord) -> Result<Mark, CopyError> {
        let LogRecord { offset, time, stamp, value, .. } = record;
        let mark = self.tracker.step(*offset, *time, stamp, value);
        let at = format!("{}@{offset}", self.partition);
        match mark {
            Mark::Claim => match stranger(value) {
                None => Ok(mark),
                Some(who) => Err(CopyError::Refused(format!(
                    "{who} has claimed the target at {at}: a service runs on it, or did; a copy \
                     goes on only where nothing but a copy has written"
                ))),
            },
            Mark::Foreign(_) => Err(CopyError::Refused(format!(
                "the target holds a foreign record at {at}: it is somebody else's"
            ))),
            Mark::Counts | Mark::Void(_) => Ok(mark),
        }
    }

    /// Reads on up to the own claim. Nothing that counts may come before it.
    async fn read_to_claim(&mut self) -> Result<(), CopyError> {
        loop {
            let chunk = next_chunk(self.reader.as_mut()).await?;
            for record in &chunk.records {
                match self.step(record)? {
                    Mark::Claim if record.value == self.claim => return Ok(()),
                    Mark::Claim | Mark::Counts => {
                        return Err(
                            self.lost("more has landed, of an earlier run or of another copy")
                        );
                    }
                    Mark::Void(_) | Mark::Foreign(_) => {}
                }
            }
        }
    }

    fn lost(&self, what: &str) -> CopyError {
        CopyError::Lost(format!("partition {} of the target: {what}", self.partition))
    }
}

impl Sending {
    async fn append(
        &mut self,
        key: Option<&[u8]>,
        stamp: Stamp,
        value: &[u8],
    ) -> Result<(), CopyError> {
        loop {
            match self.appender.append(NewRecord { key, stamp, value }) {
                Ok(_) => {
                    self.in_flight += 1;
                    return Ok(());
                }
                Err(AppendError::Full) => self.take_reports().await?,
                Err(error @ AppendError::TooLarge { .. }) => {
                    let mend = "raise log.record_bytes_max (RETELL_LOG__RECORD_BYTES_MAX)";
                    return Err(CopyError::Refused(format!("{error}: {mend} for the target")));
                }
                Err(error @ AppendError::Dead) => return Err(CopyError::Lost(error.to_string())),
            }
        }
    }

    async fn settle(&mut self) -> Result<(), CopyError> {
        while self.in_flight > 0 {
            self.take_reports().await?;
        }
        Ok(())
    }

    /// Every append is reported once, in whatever order.
    async fn take_reports(&mut self) -> Result<(), CopyError> {
        self.appender.settled(&mut self.reports).await;
        for report in self.reports.drain(..) {
            self.in_flight -= match report {
                Report::Landed { count, .. } => count,
                Report::Odd { .. } => 1,
                Report::Failed { .. } => {
                    return Err(CopyError::Lost("an append to the target failed".to_owned()));
                }
            };
        }
        Ok(())
    }
}
