//! The report: a page for people and a file for machines, with the same figures.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::Context;
use serde::Serialize;

use crate::load::Sample;
use crate::machine::Machine;
use crate::measured::{Fact, Idle, LoadRow, Measured, RateRow, SingleRow, median, middle};

#[derive(Serialize)]
struct File<'a> {
    machine: &'a Machine,
    measured: &'a Measured,
}

/// Writes `benchmarks.md` and `benchmarks.json` into a folder.
pub(crate) fn write(folder: &Path, machine: &Machine, measured: &Measured) -> anyhow::Result<()> {
    fs::create_dir_all(folder)?;
    fs::write(folder.join("benchmarks.md"), markdown(machine, measured))?;
    let json = serde_json::to_string_pretty(&File { machine, measured })?;
    fs::write(folder.join("benchmarks.json"), json + "\n").context("benchmarks.json")
}

/// The page.
pub(crate) fn markdown(machine: &Machine, measured: &Measured) -> String {
    let mut page = String::from(HEAD);
    let m = machine;
    let _ = write!(
        page,
        "Measured on {}: {} × {}, {} GiB, {}. Retell {}, {}, Kafka {} on {}, Redis {}, \
         librdkafka {}.\n\n",
        m.date,
        m.processors,
        m.processor,
        m.memory_gib,
        m.kernel,
        m.retell,
        m.rust,
        m.kafka,
        m.java,
        m.redis,
        m.librdkafka,
    );
    loads(&mut page, &measured.loads);
    cpu(&mut page, &measured.loads);
    rates(&mut page, &measured.rates);
    singles(&mut page, &measured.singles);
    facts(&mut page, &measured.facts);
    if let Some(idle) = &measured.idle {
        idle_node(&mut page, idle);
    }
    page
}

fn loads(page: &mut String, rows: &[LoadRow]) {
    if rows.is_empty() {
        return;
    }
    page.push_str(
        "## Requests\n\nA second, and milliseconds at p50 / p99 / p99.9; medians over the \
         turns.\n\n\
         | what | connections | floor /s | Retell /s | ratio | goal | floor ms | Retell ms | \
         behind | failed |\n\
         |---|---:|---:|---:|---:|---:|---:|---:|---:|---:|\n",
    );
    for row in rows {
        let _ = writeln!(
            page,
            "| {} | {} | {:.0} | {:.0} | {:.2} | {} | {} | {} | {} | {} |",
            row.name,
            row.connections,
            middle(&row.floor, |sample| sample.per_second),
            middle(&row.service, |sample| sample.per_second),
            row.ratio,
            goal(row.goal),
            latencies(&row.floor),
            latencies(&row.service),
            row.behind_seconds.map(|seconds| format!("{seconds:.2} s")).unwrap_or_default(),
            row.service.iter().chain(&row.floor).map(|sample| sample.failed).sum::<u64>(),
        );
    }
    page.push('\n');
}

fn cpu(page: &mut String, rows: &[LoadRow]) {
    if rows.is_empty() {
        return;
    }
    page.push_str(
        "### Processor time\n\nMicroseconds per request, floor → Retell. *Others* is the part of \
         the machine that belonged to none of these; a run with much of it says little.\n\n\
         | what | connections | server | client | Kafka | Redis | others |\n\
         |---|---:|---:|---:|---:|---:|---:|\n",
    );
    for row in rows {
        let both = |figure: fn(&Sample) -> f64| {
            format!("{:.1} → {:.1}", middle(&row.floor, figure), middle(&row.service, figure))
        };
        let others = |samples: &[Sample]| 100.0 * middle(samples, |it| it.cpu.others_share);
        let _ = writeln!(
            page,
            "| {} | {} | {} | {} | {} | {} | {:.0} → {:.0} % |",
            row.name,
            row.connections,
            both(|sample| sample.cpu.server),
            both(|sample| sample.cpu.client),
            both(|sample| sample.cpu.kafka),
            both(|sample| sample.cpu.redis),
            others(&row.floor),
            others(&row.service),
        );
    }
    page.push('\n');
}

fn rates(page: &mut String, rows: &[RateRow]) {
    if rows.is_empty() {
        return;
    }
    page.push_str(
        "## Reading the log\n\nThe floor is a loop around librdkafka's poll. Processor time is \
         in microseconds per record.\n\n\
         | what | records | floor /s | Retell /s | ratio | goal | service | Kafka | Redis |\n\
         |---|---:|---:|---:|---:|---:|---:|---:|---:|\n",
    );
    for row in rows {
        let cpu = |figure: fn(&crate::measured::RecordCpu) -> f64| {
            median(row.cpu_micros.iter().map(figure))
        };
        let _ = writeln!(
            page,
            "| {} | {} | {:.0} | {:.0} | {:.2} | {} | {:.1} | {:.1} | {:.1} |",
            row.name,
            row.records,
            median(row.floor_per_second.iter().copied()),
            median(row.service_per_second.iter().copied()),
            row.ratio,
            goal(row.goal),
            cpu(|cpu| cpu.service),
            cpu(|cpu| cpu.kafka),
            cpu(|cpu| cpu.redis),
        );
    }
    page.push('\n');
}

fn singles(page: &mut String, rows: &[SingleRow]) {
    if rows.is_empty() {
        return;
    }
    page.push_str(
        "## Answers without a floor\n\n\
         | what | connections | /s | p50 / p99 / p99.9 ms | failed |\n|---|---:|---:|---:|---:|\n",
    );
    for row in rows {
        let sample = row.sample;
        let _ = writeln!(
            page,
            "| {} | {} | {:.0} | {} | {} |",
            row.name,
            row.connections,
            sample.per_second,
            latencies(&[sample]),
            sample.failed,
        );
    }
    page.push('\n');
}

fn facts(page: &mut String, facts: &[Fact]) {
    if facts.is_empty() {
        return;
    }
    page.push_str("## What has a bound\n\n| what | figure | goal |\n|---|---|---|\n");
    for Fact { what, figure, goal } in facts {
        let _ = writeln!(page, "| {what} | {figure} | {goal} |");
    }
    page.push('\n');
}

fn idle_node(page: &mut String, idle: &Idle) {
    let percent = |share: f64| format!("{:.2} %", 100.0 * share);
    let _ = write!(
        page,
        "## Nothing to do\n\nA service with {} partitions and all projections, watched for {:.0} \
         s: {} of one processor (goal: less than {}); Kafka {}, Redis {}.\n",
        idle.partitions,
        idle.seconds,
        percent(idle.service_share),
        percent(idle.goal),
        percent(idle.kafka_share),
        percent(idle.redis_share),
    );
}

fn latencies(samples: &[Sample]) -> String {
    let millis = |figure: fn(&Sample) -> u64| {
        format!("{:.2}", middle(samples, |sample| figure(sample) as f64 / 1_000.0))
    };
    let (p50, p99) = (millis(|it| it.p50_micros), millis(|it| it.p99_micros));
    format!("{p50} / {p99} / {}", millis(|it| it.p999_micros))
}

fn goal(goal: Option<f64>) -> String {
    goal.map(|goal| format!("{goal:.2}")).unwrap_or_default()
}

const HEAD: &str = "\
# Benchmarks

Written by `make bench`, with `benchmarks.json` beside it; do not edit.

The client, the service, Kafka and Redis share one machine, so absolute figures say little.
Each figure stands beside a floor, the least that the same promise costs without Retell, measured
in turn in the same run by the same client:

- a command: a bare axum handler that awaits one idempotent append (acks=all, no lingering) of a
  record with the same bytes and headers to a topic with as many partitions;
- a query: a bare axum handler that awaits one Redis GET of the same bytes;
- reading the log: a loop around librdkafka's poll.

Floor and service are processes of their own, both up all the time. Turns go round: floor,
service, floor, service, …; a turn is divided by the mean of the floors before and after it, and
the ratio is the median over the turns. The load is a closed loop, each connection sends its next
request when the last one is answered, except where it says how many come a second. Commands are
deposits on 1,000 accounts in 4 partitions.
*Behind* is how long after the last command a query as of it had to wait, at worst.

";
