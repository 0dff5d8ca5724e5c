//! Verifying the live generation: a hidden one is built exactly up to it, both are compared, and
//! the hidden one is dropped. When nobody asks, samples of the views are verified, if the
//! settings say so.

use tokio::time::Instant;
use uuid::Uuid;

use crate::contract::{Offset, Partition};
use crate::ports::{Pointer, Space, StoreError};

use super::super::comparison::Compared;
use super::super::generations::Generation;
use super::super::lane::{Build, parked_in};
use super::super::parked::ParkedSequence;
use super::super::rate::Rate;
use super::super::sample::Sample;
use super::super::status::LaneState;
use super::super::verification::{VerificationPart, VerificationState};
use super::building::stuck;
use super::{Supervisor, Unable};

pub(super) struct Verifying {
    pub(super) generation: Generation,
    why: Why,
    /// The generation that it is compared with.
    live: Uuid,
    /// Up to where the hidden one is built before it is compared.
    until: Vec<Offset>,
}

/// Why views are verified.
#[derive(Clone, Copy, PartialEq)]
enum Why {
    /// Somebody asked for it.
    Asked(Uuid),
    /// It was time for a sample.
    Sample(Sample),
}

impl Supervisor {
    /// Begins or goes on with the verification that was asked for, or with a sample.
    pub(super) async fn verify(&mut self, pointer: &Pointer) -> Result<(), Unable> {
        match &self.verifying {
            Some(verifying) => match (self.asked_to_verify, verifying.why) {
                (Some(_), Why::Sample(_)) => self.stop_verifying(pointer).await.map(drop),
                _ => self.go_on_verifying(pointer).await,
            },
            None => match self.why_to_verify(pointer) {
                Some(why) => self.begin_to_verify(pointer, why).await,
                None => Ok(()),
            },
        }
    }

    fn why_to_verify(&self, pointer: &Pointer) -> Option<Why> {
        if let Some(asked) = self.asked_to_verify {
            return Some(Why::Asked(asked));
        }
        let interval = self.shared.verify.sample_interval;
        let is_time = !interval.is_zero() && self.sampled_at.elapsed() >= interval;
        let is_quiet = self.building.is_none() && !self.is_paused(pointer);
        let samples = self.published.sampled.borrow().samples;
        let sample = Sample::after(samples, self.shared.verify.sample_percent);
        (is_time && is_quiet).then_some(Why::Sample(sample))
    }

    async fn begin_to_verify(&mut self, pointer: &Pointer, why: Why) -> Result<(), Unable> {
        let shown = self.published.live.borrow().as_ref().map(|live| live.generation);
        let live = pointer.live.filter(|live| shown == Some(*live));
        let until = match live {
            Some(live) => self.nexts_of(live).await?,
            None => None,
        };
        let (Some(live), Some(until)) = (live, until) else {
            self.asked_to_verify = None;
            let error = "no generation is live, it is being built; verify later".to_owned();
            let part = VerificationPart { state: failed(error), ..VerificationPart::default() };
            self.tell(why, part);
            return Ok(());
        };
        let id = self.shared.ids.next();
        if !self.set(pointer, &pointer.hiding(id, self.leases.own())).await? {
            return Ok(());
        }
        self.asked_to_verify = None;
        tracing::debug!(projection = self.name(), generation = %live, hidden = %id, "verifying");
        let (sample, rate) = match why {
            Why::Asked(_) => (None, None),
            Why::Sample(sample) => {
                let rate = Rate::new(self.shared.verify.sample_records_per_second_max);
                (Some(sample), Some(rate))
            }
        };
        let build = |partition: Partition| {
            let beside = Some(Space::new(self.name(), live, partition));
            let until = until[partition.0 as usize];
            Some(Build { until, rate: rate.clone(), beside, sample, ends: true })
        };
        let generation = self.start(id, build);
        self.verifying = Some(Verifying { generation, why, live, until });
        Ok(())
    }

    async fn go_on_verifying(&mut self, pointer: &Pointer) -> Result<(), Unable> {
        let Some(verifying) = &self.verifying else { return Ok(()) };
        let (why, state) = (verifying.why, verifying.state(pointer));
        let parked = match (&state, why) {
            (VerificationState::Running, _) | (_, Why::Sample(_)) => Vec::new(),
            _ => self.parked_in(verifying.live).await?,
        };
        let part = verifying.part(state, parked);
        // Before it is told: who hears of the end finds nothing hidden.
        if !part.state.is_final() || self.stop_verifying(pointer).await? {
            self.tell(why, part);
        }
        Ok(())
    }

    fn tell(&mut self, why: Why, part: VerificationPart) {
        match why {
            Why::Asked(id) => self.verifications.update(id, self.name(), part),
            Why::Sample(_) if !part.state.is_final() => {}
            Why::Sample(_) => {
                self.sampled_at = Instant::now();
                if matches!(part.state, VerificationState::Equal | VerificationState::Differs) {
                    let now = self.shared.ids.now();
                    let count = |sampled: &mut super::Sampled| sampled.count(part.compared, now);
                    self.published.sampled.send_modify(count);
                }
            }
        }
    }

    pub(super) async fn cancel_verification(&mut self, id: Uuid) -> Result<(), Unable> {
        let is_asked = self.asked_to_verify.take_if(|asked| *asked == id).is_some();
        let is_running = self.verifying.as_ref().is_some_and(|it| it.why == Why::Asked(id));
        if is_running {
            let pointer = self.pointer().await?;
            if !self.stop_verifying(&pointer).await? {
                // The pointer was changed a moment ago.
                let pointer = self.pointer().await?;
                self.stop_verifying(&pointer).await?;
            }
        }
        if is_asked || is_running && self.verifying.is_none() {
            self.verifications.end(id, self.name(), VerificationState::Cancelled);
        }
        Ok(())
    }

    /// Says in the pointer that nothing is hidden any more; the next turn drops it.
    async fn stop_verifying(&mut self, pointer: &Pointer) -> Result<bool, Unable> {
        let Some(verifying) = &self.verifying else { return Ok(true) };
        let hidden = verifying.generation.id;
        if pointer.hidden.contains_key(&hidden)
            && !self.set(pointer, &pointer.without_hidden(hidden)).await?
        {
            return Ok(false);
        }
        if let Some(verifying) = self.verifying.take() {
            verifying.generation.stop().await;
        }
        Ok(true)
    }

    async fn parked_in(&self, generation: Uuid) -> Result<Vec<ParkedSequence>, StoreError> {
        let mut all = Vec::new();
        for space in self.spaces(generation) {
            let parked = parked_in(&*self.shared.store, &space).await?;
            let shown = parked.iter().map(|(aggregate, it)| it.shown(self.name(), aggregate));
            all.extend(shown);
        }
        Ok(all)
    }
}

impl Verifying {
    fn state(&self, pointer: &Pointer) -> VerificationState {
        let is_hidden = pointer.hidden.contains_key(&self.generation.id);
        if !is_hidden || self.generation.any(|state| *state == LaneState::Lost) {
            return failed("the hidden views were lost meanwhile; verify again".to_owned());
        }
        if let Some(stuck) = stuck(&self.generation) {
            return failed(stuck.detail().to_owned());
        }
        if self.generation.any(|state| *state != LaneState::Built) {
            return VerificationState::Running;
        }
        let Compared { differences, incomplete, .. } = self.generation.compared();
        match incomplete {
            _ if differences > 0 => VerificationState::Differs,
            Some(error) => failed(error),
            None => VerificationState::Equal,
        }
    }

    fn part(&self, state: VerificationState, parked: Vec<ParkedSequence>) -> VerificationPart {
        let folded = self.generation.folded();
        let records = folded.iter().zip(&self.until).map(|(at, until)| at.min(until).0).sum();
        let records_total = self.until.iter().map(|until| until.0).sum();
        let compared = self.generation.compared();
        VerificationPart { state, records, records_total, compared, parked }
    }
}

const fn failed(error: String) -> VerificationState {
    VerificationState::Failed { error }
}
