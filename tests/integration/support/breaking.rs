//! A log in memory that fails at one append, in one of the ways in which Kafka may.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use futures_util::FutureExt;
use retell::adapters::memory::MemoryLog;
use retell::log::{Partitions, Stamp, Term};
use retell::ports::{
    AppendError, Appender, EventLog, LogError, LogReader, NewRecord, Report, SendNumber,
};
use retell::{Offset, Partition, Time};

/// What happens at the append.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Fault {
    /// Nothing more ever happens: whoever waits is killed.
    Silence,
    /// The record is lost, and later ones land.
    Lost,
    /// The record lands, and is reported failed.
    LandedUnknown,
    /// The record is reported failed, and lands behind the next claim.
    Late,
    /// The record lands, nobody says where.
    Odd,
    /// The appender takes no more.
    Dead,
    /// Somebody else claims the partition just before.
    Deposed,
}

/// Fails at one append, and is well before and after.
#[derive(Clone)]
pub(crate) struct Breaking {
    log: MemoryLog,
    fault: Fault,
    /// Appends before the fault.
    left: Arc<AtomicU64>,
    late: Arc<Mutex<Vec<LateRecord>>>,
}

struct LateRecord {
    partition: Partition,
    key: Option<Vec<u8>>,
    stamp: Stamp,
    value: Vec<u8>,
}

struct BreakingAppender {
    log: Breaking,
    partition: Partition,
    inner: Box<dyn Appender>,
    next: SendNumber,
    reports: Vec<Report>,
    is_dead: bool,
    is_silent: bool,
}

impl Breaking {
    pub(crate) fn at(log: MemoryLog, fault: Fault, appends: u64) -> Self {
        let left = Arc::new(AtomicU64::new(appends));
        Self { log, fault, left, late: Arc::default() }
    }

    fn breaks_now(&self) -> bool {
        let before = self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| {
            Some(left.checked_sub(1).unwrap_or(u64::MAX)) // once
        });
        before == Ok(0)
    }
}

impl BreakingAppender {
    fn put(&mut self, record: NewRecord<'_>) -> Result<Offset, AppendError> {
        self.inner.append(record)?;
        let mut reports = Vec::new();
        self.inner.settled(&mut reports).now_or_never().expect("memory reports at once");
        match reports[..] {
            [Report::Landed { offset, .. }] => Ok(offset),
            _ => panic!("one append, one report: {reports:?}"),
        }
    }

    fn put_late_ones(&mut self) -> Result<(), AppendError> {
        let mut late = self.log.late.lock().expect("no panic").split_off(0);
        late.retain(|record| record.partition == self.partition);
        for LateRecord { key, stamp, value, .. } in late {
            self.put(NewRecord { key: key.as_deref(), stamp, value: &value })?;
        }
        Ok(())
    }

    fn fail(&mut self, record: NewRecord<'_>) -> Result<Report, AppendError> {
        let send = self.next;
        match self.log.fault {
            Fault::Silence => {
                self.is_silent = true;
                return Err(AppendError::Full);
            }
            Fault::Dead => {
                self.is_dead = true;
                return Err(AppendError::Dead);
            }
            Fault::Odd => {
                self.put(record)?;
                return Ok(Report::Odd { send });
            }
            Fault::Deposed => {
                let term = match record.stamp {
                    Stamp::Commit { term, .. } | Stamp::Claim { term } => Term(term.0 + 1),
                    Stamp::Foreign(_) => panic!("a copy writes nothing foreign"),
                };
                let stamp = Stamp::Claim { term };
                self.put(NewRecord { key: None, stamp, value: b"a stranger" })?;
                let offset = self.put(record)?;
                return Ok(Report::Landed { first: send, count: 1, offset, time: Time::default() });
            }
            Fault::LandedUnknown => drop(self.put(record)?),
            Fault::Lost => {}
            Fault::Late => self.log.late.lock().expect("no panic").push(LateRecord {
                partition: self.partition,
                key: record.key.map(<[u8]>::to_vec),
                stamp: record.stamp,
                value: record.value.to_vec(),
            }),
        }
        Ok(Report::Failed { send })
    }
}

#[async_trait]
impl Appender for BreakingAppender {
    fn append(&mut self, record: NewRecord<'_>) -> Result<SendNumber, AppendError> {
        if self.is_silent {
            return Err(AppendError::Full);
        }
        if self.is_dead {
            return Err(AppendError::Dead);
        }
        let send = self.next;
        let report = if self.log.breaks_now() {
            self.fail(record)?
        } else {
            let offset = self.put(record)?;
            if matches!(record.stamp, Stamp::Claim { .. }) {
                self.put_late_ones()?;
            }
            Report::Landed { first: send, count: 1, offset, time: Time::default() }
        };
        self.reports.push(report);
        self.next = SendNumber(send.0 + 1);
        Ok(send)
    }

    async fn settled(&mut self, reports: &mut Vec<Report>) {
        if self.reports.is_empty() {
            std::future::pending::<()>().await;
        }
        reports.append(&mut self.reports);
    }
}

#[async_trait]
impl EventLog for Breaking {
    async fn check(&self) -> Result<(), LogError> {
        self.log.check().await
    }

    fn partitions(&self) -> Partitions {
        self.log.partitions()
    }

    fn name(&self) -> &str {
        self.log.name()
    }

    fn record_len_max(&self) -> usize {
        self.log.record_len_max()
    }

    async fn end(&self, partition: Partition) -> Result<Offset, LogError> {
        self.log.end(partition).await
    }

    async fn offset_at(&self, partition: Partition, time: Time) -> Result<Offset, LogError> {
        self.log.offset_at(partition, time).await
    }

    async fn appender(&self, partition: Partition) -> Result<Box<dyn Appender>, LogError> {
        Ok(Box::new(BreakingAppender {
            log: self.clone(),
            partition,
            inner: self.log.appender(partition).await?,
            next: SendNumber(0),
            reports: Vec::new(),
            is_dead: false,
            is_silent: false,
        }))
    }

    async fn reader(
        &self,
        partition: Partition,
        from: Offset,
    ) -> Result<Box<dyn LogReader>, LogError> {
        self.log.reader(partition, from).await
    }
}
