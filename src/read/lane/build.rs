//! Building: folding from where the space stands exactly up to an offset, in big flushes.

use crate::contract::Offset;

use super::super::inlet::Inlet;
use super::super::rate::Rate;
use super::{Halt, Lane};

impl Lane {
    /// Does what is to be done before the log is followed, and halts.
    pub(super) async fn build_first(&mut self, inlet: &mut Inlet) -> Result<(), Halt> {
        let Some(build) = self.build.clone() else { return Ok(()) };
        let mut until = build.until;
        loop {
            self.advance(inlet, until, build.rate.as_ref()).await?;
            if self.state.checkpoint().is_some() {
                break;
            }
            // Before the first claim there is nothing that a space could be known by. What stands
            // still is passed, too: there may be a hole.
            until = self.tracker.next().max(until).next();
        }
        if let Some(beside) = &build.beside {
            self.compare(inlet, beside).await?;
        }
        if !build.ends {
            // What came meanwhile is met here, too, with what stops it if anything does.
            let end = self.parts.log.end(self.parts.space.partition).await?;
            self.advance(inlet, end, build.rate.as_ref()).await?;
        }
        Err(Halt::Built)
    }

    /// Folds up to this offset, not beyond it, and stores what came of it. Nobody reads the space
    /// meanwhile: views stay in memory for as long as there is room.
    pub(super) async fn advance(
        &mut self,
        inlet: &mut Inlet,
        to: Offset,
        rate: Option<&Rate>,
    ) -> Result<(), Halt> {
        let piece_len = rate.map_or(usize::MAX, Rate::piece);
        while self.tracker.next() < to {
            let Some(fed) = inlet.next(self.tracker.next(), false).await? else {
                self.check_space().await?;
                continue;
            };
            let records = fed.since(self.tracker.next());
            let (before, beyond) =
                records.split_at(records.partition_point(|record| record.offset < to));
            for piece in before.chunks(piece_len) {
                if let Some(rate) = rate {
                    rate.pay(piece.len()).await;
                }
                let parked = self.parked.len();
                self.fold_records(piece).await?;
                // A fold that panics begins again at the last flush: not from far before each time.
                let parked = self.parked.len() > parked;
                if parked
                    || self.workspace.bytes() + self.links.bytes() > self.parts.build_bytes_max
                {
                    self.flush().await?;
                }
                self.publish(false);
                // There is always more at hand: others on this thread must have their turn, too,
                // such as what speaks to the store.
                tokio::task::yield_now().await;
            }
            let (is_over, at_end) = (!beyond.is_empty(), fed.at_end);
            if is_over {
                inlet.put_back(fed);
            }
            // At the end nothing is left before `to` but holes.
            if is_over || at_end {
                break;
            }
        }
        self.flush().await?;
        self.publish(false);
        Ok(())
    }
}
