//! All figures, as they are written to a file.

use serde::Serialize;

use crate::load::Sample;

/// All figures of a run.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Measured {
    pub(crate) loads: Vec<LoadRow>,
    pub(crate) rates: Vec<RateRow>,
    pub(crate) singles: Vec<SingleRow>,
    pub(crate) facts: Vec<Fact>,
    pub(crate) idle: Option<Idle>,
}

/// A load beside its floor.
#[derive(Debug, Serialize)]
pub(crate) struct LoadRow {
    pub(crate) name: &'static str,
    pub(crate) connections: usize,
    /// The floor before the first turn, between turns, and after the last.
    pub(crate) floor: Vec<Sample>,
    pub(crate) service: Vec<Sample>,
    /// The median over the turns; a turn is compared with the floors before and after it.
    pub(crate) ratio: f64,
    pub(crate) goal: Option<f64>,
    /// Seconds until a query as of the last command was answered, at worst.
    pub(crate) behind_seconds: Option<f64>,
}

/// Records a second beside those of the raw reader.
#[derive(Debug, Serialize)]
pub(crate) struct RateRow {
    pub(crate) name: &'static str,
    pub(crate) records: u64,
    pub(crate) floor_per_second: Vec<f64>,
    pub(crate) service_per_second: Vec<f64>,
    pub(crate) ratio: f64,
    pub(crate) goal: Option<f64>,
    /// Processor time per record, in microseconds.
    pub(crate) cpu_micros: Vec<RecordCpu>,
}

/// Processor time per record in microseconds.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct RecordCpu {
    pub(crate) service: f64,
    pub(crate) kafka: f64,
    pub(crate) redis: f64,
}

/// A load without a floor.
#[derive(Debug, Serialize)]
pub(crate) struct SingleRow {
    pub(crate) name: &'static str,
    pub(crate) connections: usize,
    pub(crate) sample: Sample,
}

/// A figure that is no load.
#[derive(Debug, Serialize)]
pub(crate) struct Fact {
    pub(crate) what: String,
    pub(crate) figure: String,
    pub(crate) goal: String,
}

/// A service with nothing to do.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Idle {
    pub(crate) partitions: u32,
    pub(crate) seconds: f64,
    /// Of one processor, from 0 to 1.
    pub(crate) service_share: f64,
    pub(crate) kafka_share: f64,
    pub(crate) redis_share: f64,
    pub(crate) goal: f64,
}

impl LoadRow {
    pub(crate) fn new(
        name: &'static str,
        connections: usize,
        floor: Vec<Sample>,
        service: Vec<Sample>,
        goal: Option<f64>,
    ) -> Self {
        let around: Vec<_> = floor.windows(2).map(|pair| [pair[0], pair[1]]).collect();
        Self { floor, ..Self::between(name, connections, &around, service, goal) }
    }

    /// A row of turns each of which has floors of its own, before and after it.
    pub(crate) fn between(
        name: &'static str,
        connections: usize,
        around: &[[Sample; 2]],
        service: Vec<Sample>,
        goal: Option<f64>,
    ) -> Self {
        let ratios = service.iter().zip(around).map(|(turn, [before, after])| {
            2.0 * turn.per_second / (before.per_second + after.per_second)
        });
        let (ratio, floor) = (median(ratios), around.concat());
        Self { name, connections, floor, service, ratio, goal, behind_seconds: None }
    }
}

/// The middle one; of an even number the upper middle.
pub(crate) fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// The middle of one figure of some turns.
pub(crate) fn middle(samples: &[Sample], figure: impl Fn(&Sample) -> f64) -> f64 {
    median(samples.iter().map(figure))
}
