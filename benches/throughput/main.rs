//! `make bench`: throughput and latency of the service, each figure beside its floor.
//!
//! A floor is the least that the same promise costs without Retell: a bare axum handler that
//! awaits one append, or one Redis GET, or a loop that reads the topic. Floor and service are
//! processes of their own, both up all the time, measured in turn by the same client on the same
//! Kafka and Redis. So what the machine does to one it does to the other: ratios are what counts.

mod batch;
mod catch_up;
mod client;
mod commands;
mod consumer;
mod cpu;
mod floor;
mod idle;
mod inbox;
mod keys;
mod large;
mod lists;
mod load;
mod machine;
mod measured;
mod policies;
mod queries;
mod replay;
mod report;
mod server;
mod stage;
mod steps;
mod watched;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use clap::{Parser, Subcommand, ValueEnum};

use measured::Measured;
use stage::Stage;

/// Measures the service on the Kafka and the Redis that RETELL_TEST_KAFKA and RETELL_TEST_REDIS
/// name.
#[derive(Debug, Parser)]
struct Args {
    #[command(subcommand)]
    role: Option<Role>,
    /// How long each of the many measurements takes, after a warm-up of a quarter of that
    #[arg(long, value_name = "SECONDS", default_value = "2", env = "RETELL_BENCH_SECONDS")]
    seconds: f64,
    /// How often floor and service take turns
    #[arg(long, default_value = "3", env = "RETELL_BENCH_ROUNDS")]
    rounds: usize,
    /// Connections of the client
    #[arg(long, value_delimiter = ',', default_value = "1,16,64,256")]
    connections: Vec<usize>,
    /// Records of the replay and of catching up
    #[arg(long, default_value = "1000000")]
    records: u64,
    /// Records of the large log
    #[arg(long, default_value = "5000000")]
    large_records: u64,
    /// Views of the lists
    #[arg(long, default_value = "1000000")]
    views: u64,
    /// Idempotency-Keys; a day has ten times as many
    #[arg(long, default_value = "8640000")]
    keys: u64,
    /// Only these; then the report is printed and not written
    #[arg(long, value_delimiter = ',')]
    only: Vec<Section>,
    /// Where the report is written
    #[arg(long, value_name = "FOLDER", default_value = "docs")]
    output: PathBuf,
    /// What cargo says
    #[arg(long, hide = true)]
    bench: bool,
}

/// What is measured.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum Section {
    /// Durable commands, spread and on one account, and single answers.
    Commands,
    /// Views by key.
    Queries,
    /// Pages of lists by index.
    Lists,
    /// The replay of a projection.
    Replay,
    /// A projection that has fallen behind.
    CatchUp,
    /// A node with nothing to do.
    Idle,
    /// Batches, old aggregates, and a log of millions of records.
    Large,
    /// Millions of Idempotency-Keys.
    Keys,
    /// Commands from a topic, beside batches.
    Inbox,
    /// What a policy adds.
    Policies,
    /// What authentication, metrics and traces cost.
    Watched,
}

/// What this process is, when it is not the client.
#[derive(Debug, Subcommand)]
enum Role {
    /// The bare handlers.
    Floor(floor::Args),
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    match args.role {
        // As `#[tokio::main]` makes it for the service.
        Some(Role::Floor(args)) => tokio::runtime::Runtime::new()?.block_on(floor::run(args)),
        None => client(&args),
    }
}

/// The client has one thread: it shares the processors with what it measures.
fn client(args: &Args) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let measured = runtime.block_on(measure(args))?;
    let machine = machine::Machine::look(&Stage::redis_url()?)?;
    println!("\n{}", report::markdown(&machine, &measured));
    if args.only.is_empty() {
        report::write(&args.output, &machine, &measured).context("writing the report")?;
    }
    Ok(())
}

async fn measure(args: &Args) -> anyhow::Result<Measured> {
    let stage = Stage::new(
        Duration::from_secs_f64(args.seconds),
        args.rounds,
        args.connections.clone(),
        args.records,
        args.large_records,
        args.views,
        args.keys,
    )?;
    let wanted = |section| args.only.is_empty() || args.only.contains(&section);
    let mut measured = Measured::default();
    if wanted(Section::Idle) {
        idle::measure(&stage, &mut measured).await?;
    }
    if wanted(Section::Commands) {
        commands::measure(&stage, &mut measured).await?;
    }
    if wanted(Section::Queries) {
        queries::measure(&stage, &mut measured).await?;
    }
    if wanted(Section::Lists) {
        lists::measure(&stage, &mut measured).await?;
    }
    if wanted(Section::Replay) {
        replay::measure(&stage, &mut measured).await?;
    }
    if wanted(Section::CatchUp) {
        catch_up::measure(&stage, &mut measured).await?;
    }
    if wanted(Section::Large) {
        large::measure(&stage, &mut measured).await?;
    }
    if wanted(Section::Keys) {
        keys::measure(&stage, &mut measured).await?;
    }
    if wanted(Section::Inbox) {
        inbox::measure(&stage, &mut measured).await?;
    }
    if wanted(Section::Policies) {
        policies::measure(&stage, &mut measured).await?;
    }
    if wanted(Section::Watched) {
        watched::measure(&stage, &mut measured).await?;
    }
    Ok(measured)
}
