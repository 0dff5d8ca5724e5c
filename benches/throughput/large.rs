//! What does not grow with the log: a start, memory, and the cost of a command.
//!
//! One service holds far fewer aggregates than there are; it is killed and started again on
//! millions of records.

use std::time::Instant;

use anyhow::ensure;

use crate::batch;
use crate::cpu;
use crate::load::{self, Sample};
use crate::measured::{Fact, Measured, median};
use crate::stage::{ALL_PROJECTIONS, PARTITIONS, Stage};
use crate::steps::{self, Request};

const AGGREGATES: u64 = 1_000_000;
const CACHED: u64 = 100_000;
const BATCHES: u64 = 4;
/// Events of the old aggregate; the young ones have ten.
const OLD_EVENTS: u64 = 100_000;
const YOUNG: u64 = 10_000;
const YOUNG_EVENTS: u64 = 10;

pub(crate) async fn measure(stage: &Stage, measured: &mut Measured) -> anyhow::Result<()> {
    batches(stage, measured).await?;
    ages(stage, measured).await?;
    restart(stage, measured).await
}

/// Batches beside single commands, in turn.
async fn batches(stage: &Stage, measured: &mut Measured) -> anyhow::Result<()> {
    eprintln!("large: batches");
    let service = stage.service(&stage.topic("batches"), PARTITIONS, ALL_PROJECTIONS)?;
    stage.fill(&service, 1_000, 10_000).await?;
    let single = || {
        let write = |_, random| steps::deposit(random % 1_000);
        load::measure(stage, &service, 64, Request { status: 200, write })
    };
    let (mut singles, mut batches) = (vec![single().await?.per_second], Vec::new());
    for _ in 0..stage.rounds {
        let lines = 50_000;
        let line = batch::deposit_on_a_thousand;
        let sent = batch::send(service.address, BATCHES, lines, line).await?;
        ensure!(sent.undone == 0, "{} lines of a batch were not done", sent.undone);
        batches.push(sent.per_second);
        singles.push(single().await?.per_second);
    }
    let ratios = batches.iter().zip(singles.windows(2));
    let ratio = median(ratios.map(|(batch, around)| 2.0 * batch / (around[0] + around[1])));
    measured.facts.push(Fact {
        what: format!(
            "lines of {BATCHES} batches a second, beside single commands of 64 connections, \
             projections paused"
        ),
        figure: format!(
            "{:.0} beside {:.0}: {ratio:.2} times",
            median(batches.into_iter()),
            median(singles.into_iter())
        ),
        goal: "3 times".to_owned(),
    });
    service.stop()
}

/// A command on an aggregate with many events beside one on an aggregate with few.
async fn ages(stage: &Stage, measured: &mut Measured) -> anyhow::Result<()> {
    eprintln!("large: old and young aggregates");
    let service = stage.service(&stage.topic("ages"), PARTITIONS, ALL_PROJECTIONS)?;
    stage.fill(&service, YOUNG, YOUNG * (YOUNG_EVENTS - 1)).await?;
    let sent = batch::send(service.address, 1, OLD_EVENTS, batch::deposit_on_one).await?;
    ensure!(sent.undone == 0, "{} deposits were not done", sent.undone);
    let (mut old, mut young) = (Vec::new(), Vec::new());
    for _ in 0..stage.rounds.max(3) {
        let write = |_, _| steps::deposit(0);
        old.push(load::measure(stage, &service, 1, Request { status: 200, write }).await?);
        let write = |number, _| steps::deposit(1 + number % (YOUNG - 1));
        young.push(load::measure(stage, &service, 1, Request { status: 200, write }).await?);
    }
    let ratio = |figure: fn(&Sample) -> f64| {
        median(old.iter().zip(&young).map(|(old, young)| figure(old) / figure(young)))
    };
    measured.facts.push(Fact {
        what: format!(
            "a command on an aggregate with {OLD_EVENTS} events, beside one with about \
             {YOUNG_EVENTS}: processor time of the service, and p50"
        ),
        figure: format!(
            "{:.2} times, {:.2} times",
            ratio(|sample| sample.cpu.server),
            ratio(|sample| sample.p50_micros as f64)
        ),
        goal: "at most 1.10 times".to_owned(),
    });
    service.stop()
}

/// Memory with more aggregates than it may hold, and a start after a kill.
async fn restart(stage: &Stage, measured: &mut Measured) -> anyhow::Result<()> {
    let cached = CACHED.to_string();
    let settings = [("RETELL_WRITE__CACHED_AGGREGATES_MAX", cached.as_str())];
    let start = |topic: &str| {
        let began = Instant::now();
        let service = stage.service_with(topic, PARTITIONS, ALL_PROJECTIONS, &settings)?;
        anyhow::Ok((service, began.elapsed().as_secs_f64()))
    };
    let topic = stage.topic("large");
    let (service, _) = start(&topic)?;
    eprintln!("large: {AGGREGATES} aggregates, {} records", stage.large_records);
    let opened = batch::send(service.address, BATCHES, AGGREGATES / BATCHES, batch::open).await?;
    let deposits = stage.large_records.saturating_sub(AGGREGATES) / BATCHES;
    let sent = batch::send(service.address, BATCHES, deposits, batch::deposit_on_a_million).await?;
    let memory_mib = cpu::memory_max_mib(service.pid());
    measured.facts.push(Fact {
        what: format!(
            "memory of a node with {AGGREGATES} aggregates of which it may hold {CACHED}, at \
             most, while it takes deposits on all of them"
        ),
        figure: format!(
            "{memory_mib} MiB; {:.0} opened and {:.0} deposits a second, {} lines not done",
            opened.per_second,
            sent.per_second,
            opened.undone + sent.undone
        ),
        goal: "512 MiB".to_owned(),
    });
    service.kill()?;
    let (empty, full) = (stage.topic("empty"), topic);
    let (fresh, fresh_seconds) = start(&empty)?;
    fresh.stop()?;
    let (again, seconds) = start(&full)?;
    measured.facts.push(Fact {
        what: format!(
            "a start on a log of {} records after kill -9, beside one on an empty log",
            stage.large_records
        ),
        figure: format!("{seconds:.2} s beside {fresh_seconds:.2} s"),
        goal: "at most 2 s more".to_owned(),
    });
    again.stop()
}
