//! What a lane does about a sequence that it holds back: it takes the view that a retry has
//! folded, or forgets the view; and what it does when its space turns out to be torn.
//!
//! A view is committed with a checkpoint of its own, so that another runner, which does not know
//! of it, is refused and looks again.

use tokio::sync::oneshot;

use crate::contract::{Key, Position, Target};
use crate::log::Checkpoint;
use crate::ports::SpaceState;

use super::super::mending::{MendError, Mending};
use super::super::parked::{Parked, ParkedId};
use super::super::status::ViewKind;
use super::{Halt, Lane};

/// Offsets that a lane reads by itself to catch up with: nothing else is folded meanwhile.
const BEHIND_MAX: u64 = 2_000;

/// What is to become of a sequence, or of the space.
pub(in super::super) enum Mend {
    /// Its view is the one that was folded.
    Retry { mending: Box<Mending>, reply: Reply<Mended> },
    /// It is given up.
    Discard { target: Target, began: Position, reply: Reply<Parked> },
    /// The space has lost something: it is not to be gone on with.
    GiveUp,
}

/// What became of a retry.
pub(in super::super) enum Mended {
    /// Its view is in its place.
    Done { applied: u64, parked: Option<Parked> },
    /// The lane is too far ahead by now: read on.
    Behind(Box<Mending>),
}

type Reply<T> = oneshot::Sender<Result<T, MendError>>;

impl Lane {
    /// Does it, and says so. Nothing is dirty before.
    pub(super) async fn mend(&mut self, mend: Mend) -> Result<(), Halt> {
        // Who asked may have gone; then nobody hears of it.
        match mend {
            Mend::Retry { mending, reply } => {
                let mended = self.retry(mending).await?;
                drop(reply.send(mended));
            }
            Mend::Discard { target, began, reply } => {
                let discarded = self.discard(&target, began).await?;
                drop(reply.send(discarded));
            }
            Mend::GiveUp => return Err(Halt::Lost),
        }
        Ok(())
    }

    async fn retry(
        &mut self,
        mut mending: Box<Mending>,
    ) -> Result<Result<Mended, MendError>, Halt> {
        if let Err(error) = self.held(&mending.target, mending.began) {
            return Ok(Err(error));
        }
        let next = self.tracker.next();
        if next.0.saturating_sub(mending.next().0) > BEHIND_MAX {
            return Ok(Ok(Mended::Behind(mending)));
        }
        let log = self.parts.log.clone();
        if let Err(error) = mending.read_to(&*log, self.parts.space.partition, next).await {
            return Ok(Err(error.into()));
        }
        let Mending { target, began, view, applied, left, .. } = *mending;
        if let (0, Some(left)) = (applied, &left) {
            let error = left.error.clone();
            return Ok(Err(MendError::StillParked { position: began, error }));
        }
        let slot = self.parts.projection.slot(view.as_deref());
        let slot = slot.expect("it was rendered from a view of this projection");
        self.put(&target, slot).await?;
        self.poison.remove(target.as_str());
        match left.clone() {
            Some(left) => self.parked.insert(target.as_str().to_owned(), left),
            None => self.parked.remove(target.as_str()),
        };
        tracing::info!(aggregate = %target, applied, whole = left.is_none(), "mended");
        self.commit_mended(&target).await?;
        Ok(Ok(Mended::Done { applied, parked: left }))
    }

    async fn discard(
        &mut self,
        target: &Target,
        began: Position,
    ) -> Result<Result<Parked, MendError>, Halt> {
        let parked = match self.held(target, began) {
            Ok(parked) => Parked { discarded: true, ..parked.clone() },
            Err(error) => return Ok(Err(error)),
        };
        if matches!(self.parts.projection.kind(), ViewKind::Aggregate(_)) {
            let nothing = self.parts.projection.slot(None).expect("nothing is easy to read");
            self.put(target, nothing).await?;
        }
        self.parked.insert(target.as_str().to_owned(), parked.clone());
        tracing::warn!(aggregate = %target, "discarded");
        self.commit_mended(target).await?;
        Ok(Ok(parked))
    }

    /// The sequence, if it is the one that was meant.
    fn held(&self, target: &Target, began: Position) -> Result<&Parked, MendError> {
        let held = self.parked.get(target.as_str()).filter(|parked| parked.position == began);
        let name = self.parts.projection.name();
        let unknown = || MendError::Unknown(ParkedId::of(name.as_str(), target.as_str()));
        held.filter(|_| self.build.is_none()).ok_or_else(unknown)
    }

    /// Holds another view in the place of the aggregate's own.
    async fn put(&mut self, target: &Target, slot: super::super::Slot) -> Result<(), Halt> {
        let key = Key::new(target.id()).expect("the id of an aggregate is a key");
        self.load_keys([key.as_str()].into_iter()).await?;
        *self.workspace.slot(key.as_str()) = slot;
        Ok(())
    }

    async fn commit_mended(&mut self, target: &Target) -> Result<(), Halt> {
        self.regrown.insert(target.as_str().to_owned());
        let commit = Some(self.parts.ids.next());
        let checkpoint = self.tracker.checkpoint().expect("something was parked: there is a log");
        let changes = self.take_changes();
        self.commit_as(SpaceState::At(Checkpoint { commit, ..checkpoint }), &changes).await?;
        let at_end = self.progress.borrow().at_end;
        self.publish(at_end);
        Ok(())
    }
}
