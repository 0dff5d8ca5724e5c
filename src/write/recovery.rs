//! Reading the log into the aggregates, and claiming the partition at its end.
//!
//! "It was not applied" is said of a command only after a claim of a newer term has been read:
//! until then its record may still land and count.

use bytes::Bytes;
use tokio::time::{Instant, timeout_at};

use crate::events::{Claim, RECORD_VERSION, Unreadable};
use crate::log::{PARTITION_HASH, Stamp, Term};
use crate::ports::{Appender, Chunk, LogError, LogReader, LogRecord, NewRecord};

use super::setback::Setback;
use super::status::Ownership;
use super::writer::{Ruler, Writer};

/// Bytes that a writer reads at once, at most about.
pub(super) const CHUNK_BYTES_MAX: usize = 4 << 20;
/// Records that a writer reads at once.
pub(super) const CHUNK_RECORDS_MAX: usize = 4_096;

/// How an attempt to claim a partition ended.
pub(super) enum Claimed {
    /// The own claim counts.
    Owner(Box<dyn Appender>),
    /// Another's counts, and it is right to let it.
    ByAnother,
    /// The log was made with other partitions or another hash.
    WrongLog(String),
}

impl Writer {
    /// Reads to the end and claims, until a claim decides.
    pub(super) async fn claim(&mut self) -> Result<Claimed, Setback> {
        self.publish(Ownership::Recovering);
        if !self.is_open {
            self.skim_to_end().await?;
            if self.wrong_layout().is_none() && !self.may_claim() {
                return Ok(Claimed::ByAnother);
            }
            self.open().await?;
        }
        let log = self.shared.log.clone();
        let mut reader = log.reader(self.partition, self.tracker.next()).await?;
        self.read_to_end(reader.as_mut()).await?;
        if !self.shared.checks.claim_before_deciding {
            self.decide_again();
        }
        loop {
            if let Some(reason) = self.wrong_layout() {
                return Ok(Claimed::WrongLog(reason));
            }
            if !self.may_claim() {
                return Ok(Claimed::ByAnother);
            }
            self.publish(Ownership::Claiming);
            let mut appender = log.appender(self.partition).await?;
            let claim = self.new_claim();
            let term = Term(self.tracker.fold().term.0 + 1);
            let value = claim.encode();
            let stamp = Stamp::Claim { term };
            let sent = appender.append(NewRecord { key: None, stamp, value: &value });
            sent.map_err(|error| LogError::Unavailable(error.to_string()))?;
            appender.flush();
            self.read_to_claim(reader.as_mut(), term).await?;
            let rules = self.ruler.as_ref().and_then(|ruler| ruler.claim.as_ref()) == Some(&claim);
            if rules || !self.shared.checks.claim_id {
                return Ok(self.wrong_layout().map_or(Claimed::Owner(appender), Claimed::WrongLog));
            }
        }
    }

    /// A process claims until a claim of its own has counted; after that only when nobody else
    /// of ours rules: its own late attempt won, or a forged claim did.
    pub(super) fn may_claim(&self) -> bool {
        let Some(ruler) = &self.ruler else { return true };
        let rules = |claim: &Claim| claim.instance == self.shared.identity.instance;
        let by_nobody_else = !ruler.of_newer && ruler.claim.as_ref().is_none_or(rules);
        !self.has_reigned || by_nobody_else
    }

    /// Takes records until the reader is at the end.
    async fn read_to_end(&mut self, reader: &mut dyn LogReader) -> Result<(), Setback> {
        loop {
            let chunk = reader.next(CHUNK_RECORDS_MAX, CHUNK_BYTES_MAX).await?;
            self.take_with_states(&chunk).await?;
            if chunk.at_end {
                self.publish_numbers();
                return Ok(());
            }
        }
    }

    pub(super) fn take_chunk(&mut self, chunk: &Chunk) {
        self.take_all(&chunk.records);
    }

    pub(super) fn take_all(&mut self, records: &[LogRecord]) {
        for record in records {
            self.take(record);
            self.tail.pass(record.offset, || record.clone());
        }
        self.tail.wake();
        self.seen_to = self.seen_to.max(self.tracker.next());
    }

    /// Takes records until this term, or a later one, has begun.
    async fn read_to_claim(
        &mut self,
        reader: &mut dyn LogReader,
        term: Term,
    ) -> Result<(), Setback> {
        let deadline = Instant::now() + self.shared.config.settle_timeout;
        while self.tracker.fold().term < term {
            let next = reader.next(CHUNK_RECORDS_MAX, CHUNK_BYTES_MAX);
            match timeout_at(deadline, next).await {
                Ok(chunk) => self.take_with_states(&chunk?).await?,
                Err(_) => {
                    return Err(LogError::Unavailable("a claim did not land".to_owned()).into());
                }
            }
        }
        Ok(())
    }

    fn new_claim(&self) -> Claim {
        let identity = &self.shared.identity;
        Claim {
            v: RECORD_VERSION,
            claim_id: self.shared.ids.next(),
            node: identity.node.clone(),
            instance: identity.instance,
            address: identity.address.clone(),
            partitions: self.shared.log.partitions().count(),
            hash: PARTITION_HASH.to_owned(),
            time: self.shared.ids.now(),
            policies: identity.policies.clone(),
        }
    }

    /// Notes a claim that counts: it decides every command of an older term.
    pub(super) fn take_claim(&mut self, term: Term, value: &Bytes) {
        let claim = Claim::decode(value);
        let of_newer = matches!(claim, Err(Unreadable::Newer(_)));
        let claim = claim.ok();
        if let Some(claim) = &claim {
            self.has_reigned |= claim.instance == self.shared.identity.instance;
            self.layout.get_or_insert_with(|| (claim.partitions, claim.hash.clone()));
        }
        self.ruler = Some(Ruler { term, claim, of_newer });
        // When the fold went back, older claims come again: they have decided what they could.
        if term > self.decided {
            self.decided = term;
            self.decide_again();
        }
    }

    /// What is wrong with the log's partitions, by the first claim that can be read.
    fn wrong_layout(&self) -> Option<String> {
        let (partitions, hash) = self.layout.as_ref()?;
        let count = self.shared.log.partitions().count();
        if *partitions == count && hash == PARTITION_HASH {
            return None;
        }
        Some(format!(
            "the log was made with {partitions} partitions and the hash {hash}; this process has \
             log.partitions = {count} and the hash {PARTITION_HASH}"
        ))
    }

    /// Takes back what the ended term left undecided, in the order in which it was decided.
    fn decide_again(&mut self) {
        let pending = self.in_flight.drain().map(|p| (2 * p.send.0 + 1, p.ticket));
        let waiting = self.unconfirmed.drain().map(|(send, ticket)| (2 * send.0, ticket));
        let mut tickets: Vec<_> = pending.chain(waiting).collect();
        tickets.sort_by_key(|(order, _)| *order);
        // Whatever is to be decided again already came after them.
        for (_, ticket) in tickets.into_iter().rev() {
            ticket.take_turn_back();
            self.again.push_front(ticket);
        }
        self.aggregates.drop_tips();
    }
}
