//! The load: each connection takes its step again as soon as the last one is answered, or when it
//! is due: then what is late is measured from when it was due.
//!
//! All connections are tasks of one thread, so what they share needs no lock.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use hdrhistogram::Histogram;
use serde::Serialize;
use tokio::sync::Semaphore;
use tokio::task::{JoinSet, LocalSet};

use crate::client::Connection;
use crate::cpu::Cpu;
use crate::server::Server;
use crate::stage::Stage;
use crate::steps::Step;

/// What was measured in one turn.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Sample {
    /// Steps done.
    pub(crate) per_second: f64,
    pub(crate) p50_micros: u64,
    pub(crate) p99_micros: u64,
    pub(crate) p999_micros: u64,
    /// Steps that were answered otherwise than they should.
    pub(crate) failed: u64,
    /// Processor time per step.
    pub(crate) cpu: CpuShares,
}

/// Processor time per step in microseconds, by whose it was.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct CpuShares {
    pub(crate) server: f64,
    pub(crate) client: f64,
    pub(crate) kafka: f64,
    pub(crate) redis: f64,
    /// How much of the machine was somebody else's, from 0 to 1: a turn with much of it says
    /// little.
    pub(crate) others_share: f64,
}

struct Shared<S> {
    step: S,
    number: Cell<u64>,
    /// Where the numbers end.
    number_max: u64,
    recording: Cell<bool>,
    stopped: Cell<bool>,
    failed: Cell<u64>,
    latencies: RefCell<Histogram<u64>>,
    pace: Option<Pace>,
}

/// Steps that are due one after the other, whether those before them are answered or not.
struct Pace {
    began: Instant,
    interval: Duration,
    /// One permit for each step that is due.
    due: Arc<Semaphore>,
}

/// Measures a step for a while.
pub(crate) async fn measure(
    stage: &Stage,
    server: &Server,
    connections: usize,
    step: impl Step + 'static,
) -> anyhow::Result<Sample> {
    measure_shared(stage, server, connections, Shared::new(step, u64::MAX)?).await
}

/// The same with so many steps a second, as long as the connections are enough.
pub(crate) async fn measure_paced(
    stage: &Stage,
    server: &Server,
    connections: usize,
    per_second: u32,
    step: impl Step + 'static,
) -> anyhow::Result<Sample> {
    let pace = Some(Pace::start(Duration::from_secs(1) / per_second));
    let shared = Shared { pace, ..Shared::new(step, u64::MAX)? };
    measure_shared(stage, server, connections, shared).await
}

async fn measure_shared<S: Step + 'static>(
    stage: &Stage,
    server: &Server,
    connections: usize,
    shared: Shared<S>,
) -> anyhow::Result<Sample> {
    let shared = Rc::new(shared);
    let local = LocalSet::new();
    let driving = async {
        let mut tasks = start(&shared, server.address, connections).await?;
        tokio::time::sleep(stage.seconds / 4).await;
        let (began, cpu) = (Instant::now(), stage.cpu(server));
        shared.recording.set(true);
        tokio::time::sleep(stage.seconds).await;
        shared.recording.set(false);
        let (elapsed, cpu) = (began.elapsed(), stage.cpu(server).since(&cpu));
        shared.stopped.set(true);
        while let Some(ended) = tasks.join_next().await {
            ended??;
        }
        Ok(shared.sample(elapsed, &cpu))
    };
    local.run_until(driving).await
}

/// Takes a step so many times, and fails if one of them fails.
pub(crate) async fn all(
    address: SocketAddr,
    connections: usize,
    times: u64,
    step: impl Step + 'static,
) -> anyhow::Result<()> {
    let shared = Rc::new(Shared::new(step, times)?);
    let local = LocalSet::new();
    let driving = async {
        let mut tasks = start(&shared, address, connections).await?;
        while let Some(ended) = tasks.join_next().await {
            ended??;
        }
        let failed = shared.failed.get();
        ensure!(failed == 0, "{failed} of {times} requests were answered wrongly");
        Ok(())
    };
    local.run_until(driving).await
}

async fn start<S: Step + 'static>(
    shared: &Rc<Shared<S>>,
    address: SocketAddr,
    connections: usize,
) -> anyhow::Result<JoinSet<anyhow::Result<()>>> {
    let mut tasks = JoinSet::new();
    for seed in 1..=connections as u64 {
        let connection = Connection::open(address).await?;
        tasks.spawn_local(go_on(shared.clone(), connection, seed));
    }
    Ok(tasks)
}

async fn go_on<S: Step>(
    shared: Rc<Shared<S>>,
    mut connection: Connection,
    seed: u64,
) -> anyhow::Result<()> {
    let mut random = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    while !shared.stopped.get() {
        let number = shared.number.get();
        if number == shared.number_max {
            break;
        }
        shared.number.set(number + 1);
        // xorshift64; its upper half is the better one
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let began = match &shared.pace {
            Some(pace) => pace.due(number).await?,
            None => Instant::now(),
        };
        let taken = shared.step.take(&mut connection, number, random >> 32).await;
        let taken = taken.context("a connection broke")?;
        if shared.recording.get() || shared.number_max != u64::MAX {
            shared.note(taken.right, taken.since.unwrap_or(began).elapsed());
        }
    }
    Ok(())
}

impl Pace {
    /// A thread of its own tells what is due: a runtime's timers know milliseconds only.
    #[expect(clippy::disallowed_methods, reason = "the thread is no one's but the clock's")]
    fn start(interval: Duration) -> Self {
        let (began, due) = (Instant::now(), Arc::new(Semaphore::new(0)));
        let wanted = Arc::downgrade(&due);
        thread::spawn(move || {
            for number in 1.. {
                thread::sleep(
                    (began + interval * number).saturating_duration_since(Instant::now()),
                );
                match wanted.upgrade() {
                    Some(due) => due.add_permits(1),
                    None => return,
                }
            }
        });
        Self { began, interval, due }
    }

    /// Waits until the step with this number, from 0, may be taken; returns when it was due.
    async fn due(&self, number: u64) -> anyhow::Result<Instant> {
        self.due.acquire().await?.forget();
        Ok(self.began + self.interval * u32::try_from(number + 1)?)
    }
}

impl<S> Shared<S> {
    fn new(step: S, number_max: u64) -> anyhow::Result<Self> {
        Ok(Self {
            step,
            number: Cell::new(0),
            number_max,
            recording: Cell::new(false),
            stopped: Cell::new(false),
            failed: Cell::new(0),
            latencies: RefCell::new(Histogram::new_with_bounds(1, 60_000_000, 3)?),
            pace: None,
        })
    }

    fn note(&self, right: bool, latency: Duration) {
        if right {
            let micros = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
            self.latencies.borrow_mut().saturating_record(micros);
        } else {
            self.failed.set(self.failed.get() + 1);
        }
    }

    fn sample(&self, elapsed: Duration, cpu: &Cpu) -> Sample {
        let latencies = self.latencies.borrow();
        let steps = latencies.len().max(1) as f64;
        let each = |spent: Duration| spent.as_secs_f64() * 1e6 / steps;
        Sample {
            per_second: latencies.len() as f64 / elapsed.as_secs_f64(),
            p50_micros: latencies.value_at_quantile(0.5),
            p99_micros: latencies.value_at_quantile(0.99),
            p999_micros: latencies.value_at_quantile(0.999),
            failed: self.failed.get(),
            cpu: CpuShares {
                server: each(cpu.server),
                client: each(cpu.client),
                kafka: each(cpu.kafka),
                redis: each(cpu.redis),
                others_share: cpu.others_share(elapsed),
            },
        }
    }
}
