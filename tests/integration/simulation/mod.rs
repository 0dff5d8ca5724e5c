//! A simulation: writers, readers and callers over a log and a store that go wrong in every way
//! that real ones do, in one thread, with time that stands still while anything can be done.
//!
//! A seed decides everything, so a history that breaks a law can be lived through again:
//! `RETELL_SIMULATION_SEED=7 cargo test --test integration simulation::no_history`; with
//! `RUST_LOG=retell=debug` the services tell what they do. Laws are checked at every landing
//! (`truth`), at every answer (`judge`) and after every step (`node`).

mod calls;
pub(crate) mod chance;
mod counter;
mod ending;
mod faults;
mod history;
mod judge;
mod link;
mod log;
mod node;
mod planted;
mod rows;
mod store;
mod stranger;
mod truth;
mod world;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use retell::log::Checks;

use history::{Account, run};

/// Histories of `make test`.
const HISTORIES: u64 = 2_000;

/// Everything that must happen in some history, or the simulation shows less than it says.
const OCCURRENCES: &str = "dead, done, emptied views, failed though landed, foreign views, full, \
    held up, hole, in a row, in flight, late, log down, log silent, lost, lost with its process, \
    not done, odd, out of turn, overtaking, refused, refused before, replayed, rolled back, \
    rolled back views, silent, stopped in time, stopped too slowly, store silent, store unsure, \
    stranger, twice, unknown";

/// L1-L8, R1-R3, R5.
#[test]
fn no_history_breaks_a_law() {
    if let Some(seed) = number("RETELL_SIMULATION_SEED") {
        let told = tracing_subscriber::EnvFilter::from_default_env();
        tracing_subscriber::fmt().with_env_filter(told).init();
        println!("seed {seed}: {:?}", live(seed).counts);
        return;
    }
    if let Some(seconds) = number("RETELL_SOAK_SECONDS") {
        return soak(seconds);
    }
    let (begun, mut counts) = (Instant::now(), BTreeMap::<&str, u64>::new());
    for seed in 0..HISTORIES {
        let account = live(seed);
        account.counts.iter().for_each(|(name, count)| *counts.entry(name).or_default() += count);
    }
    println!("{HISTORIES} histories in {:?}: {counts:?}", begun.elapsed());
    for name in OCCURRENCES.split(", ") {
        assert!(counts.contains_key(name), "`{name}` never happened: {counts:?}");
    }
}

#[test]
fn the_same_seed_is_the_same_history() {
    for seed in 0..60 {
        let [first, second] = [(); 2].map(|()| live(seed).fingerprint);
        assert_eq!(first, second, "seed {seed}");
    }
}

/// New histories for so many seconds; for ever if 0.
fn soak(seconds: u64) {
    let first: u64 = rand::random();
    let (begun, mut told, mut lived) = (Instant::now(), Instant::now(), 0_u64);
    while seconds == 0 || begun.elapsed() < Duration::from_secs(seconds) {
        live(first.wrapping_add(lived));
        lived += 1;
        if told.elapsed() > Duration::from_secs(10) {
            told = Instant::now();
            println!("{lived} histories from seed {first} in {:?}", begun.elapsed());
        }
    }
    println!("{lived} histories from seed {first}: no law was broken");
}

fn live(seed: u64) -> Account {
    run(seed, Checks::default()).expect("a history that breaks no law")
}

fn number(variable: &str) -> Option<u64> {
    Some(std::env::var(variable).ok()?.parse().expect("a number"))
}
