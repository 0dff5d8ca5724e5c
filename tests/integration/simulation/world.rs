//! What all parts of one history share: chance, time, the truth, and the trace.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Arguments;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use retell::Time;
use retell::ports::Clock;
use tokio::time::Instant;

use super::chance::Chance;
use super::faults::Faults;
use super::truth::Truth;

/// Lines of the trace that are kept for whoever reads about a violation.
const TAIL_LEN: usize = 120;

/// How often somebody may ask for something in one moment: whoever asks again and again without
/// waiting for anything would hammer a real server, and here no time would ever pass.
const CALLS_IN_A_MOMENT_MAX: u64 = 20_000;

/// A history's world. It is one thread's, but ports must be `Sync`: hence the locks.
pub(super) struct World {
    pub(super) chance: Chance,
    begun: Instant,
    faults: Mutex<Faults>,
    truth: Mutex<Truth>,
    trace: Mutex<Trace>,
}

/// What happened, in order.
#[derive(Default)]
struct Trace {
    hasher: DefaultHasher,
    tail: VecDeque<String>,
    counts: BTreeMap<&'static str, u64>,
    violation: Option<String>,
    /// The moment of the last call, and how many came in it.
    moment: Option<(Instant, u64)>,
}

/// The simulated wall clock: the runtime's, which stands still while anything can be done.
#[derive(Clone)]
pub(super) struct WallClock {
    begun: Instant,
    stands: bool,
}

impl World {
    pub(super) fn new(chance: Chance, faults: Faults, partitions: u32) -> Arc<Self> {
        Arc::new(Self {
            chance,
            begun: Instant::now(),
            faults: Mutex::new(faults),
            truth: Mutex::new(Truth::new(partitions)),
            trace: Mutex::default(),
        })
    }

    pub(super) fn clock(&self) -> Arc<WallClock> {
        Arc::new(WallClock { begun: self.begun, stands: self.faults().clock_stands })
    }

    pub(super) fn faults(&self) -> MutexGuard<'_, Faults> {
        self.faults.lock().expect("no panic while it is held")
    }

    pub(super) fn truth(&self) -> MutexGuard<'_, Truth> {
        self.truth.lock().expect("no panic while it is held")
    }

    /// Whether a fault with this rate happens now; it is counted under its name if it does.
    pub(super) fn happens(&self, name: &'static str, rate: impl Fn(&Faults) -> u64) -> bool {
        self.notice_call();
        let rate = rate(&self.faults());
        let happens = self.chance.per_mille(rate);
        if happens {
            self.count(name);
        }
        happens
    }

    /// How long an answer takes this time.
    pub(super) fn latency(&self) -> Duration {
        let limit = self.faults().latency_ms;
        if self.chance.one_in(2) { Duration::ZERO } else { self.chance.millis(limit) }
    }

    pub(super) fn count(&self, name: &'static str) {
        *self.trace().counts.entry(name).or_default() += 1;
    }

    /// Writes a line of the trace.
    pub(super) fn note(&self, what: Arguments<'_>) {
        let line = format!("{:>6} ms  {what}", self.begun.elapsed().as_millis());
        let mut trace = self.trace();
        line.hash(&mut trace.hasher);
        if trace.tail.len() == TAIL_LEN {
            trace.tail.pop_front();
        }
        trace.tail.push_back(line);
    }

    /// Notes that a law was broken; the first time counts.
    pub(super) fn violate(&self, what: &str) {
        self.note(format_args!("VIOLATION {what}"));
        self.trace().violation.get_or_insert_with(|| what.to_owned());
    }

    pub(super) fn violation(&self) -> Option<String> {
        self.trace().violation.clone()
    }

    pub(super) fn counts(&self) -> BTreeMap<&'static str, u64> {
        self.trace().counts.clone()
    }

    /// A hash of everything that was noted.
    pub(super) fn fingerprint(&self) -> u64 {
        self.trace().hasher.finish()
    }

    pub(super) fn tail(&self) -> String {
        self.trace().tail.iter().map(|line| format!("{line}\n")).collect()
    }

    fn notice_call(&self) {
        let now = Instant::now();
        let calls = {
            let moment = &mut self.trace().moment;
            let calls = moment.filter(|(at, _)| *at == now).map_or(1, |(_, calls)| calls + 1);
            *moment = Some((now, calls));
            calls
        };
        if calls > CALLS_IN_A_MOMENT_MAX {
            self.violate("L8 something is asked again and again, without a pause");
            panic!("ends whoever asks");
        }
    }

    fn trace(&self) -> MutexGuard<'_, Trace> {
        self.trace.lock().expect("no panic while it is held")
    }
}

impl Clock for WallClock {
    fn now(&self) -> Time {
        const BEGUN_MS: i64 = 1_800_000_000_000;
        if self.stands {
            return Time::from_millis(BEGUN_MS);
        }
        let elapsed = i64::try_from(self.begun.elapsed().as_millis()).expect("a short history");
        Time::from_millis(BEGUN_MS + elapsed)
    }
}
