//! A simulation: writers, readers and callers over a log and a store that go wrong in every way
//! that real ones do, in one thread, with time that stands still while anything can be done.
//!
//! A seed decides everything, so a history that breaks a law can be lived through again. Laws are
//! checked at every landing, at every answer and after every step; see `truth` and `calls`.
//!
//! `RETELL_SIMULATION_SEED` lives through one history; `make soak` through new ones for ever.

mod calls;
mod chance;
mod counter;
mod ending;
mod faults;
mod history;
mod link;
mod log;
mod node;
mod store;
mod stranger;
mod truth;
mod world;

use std::collections::BTreeMap;
use std::time::Instant;

use retell::log::Checks;

use history::run;

/// Histories of `make test`.
const HISTORIES: u64 = 3_000;

/// Histories in which a missing check must show.
const HISTORIES_TO_FIND: u64 = 1_000;

#[test]
fn no_history_breaks_a_law() {
    if let Ok(seed) = std::env::var("RETELL_SIMULATION_SEED") {
        let seed = seed.parse().expect("a seed is a number");
        run(seed, Checks::default()).map(drop).expect("the history of this seed");
        return;
    }
    let begun = Instant::now();
    let mut counts = BTreeMap::<&str, u64>::new();
    for seed in 0..HISTORIES {
        let account = run(seed, Checks::default()).expect("a history");
        account
            .counts
            .into_iter()
            .for_each(|(name, count)| *counts.entry(name).or_default() += count);
    }
    println!("{HISTORIES} histories in {:?}: {counts:?}", begun.elapsed());
}

#[test]
fn the_same_seed_is_the_same_history() {
    for seed in 0..60 {
        let [first, second] = [(); 2].map(|()| run(seed, Checks::default()).expect("a history"));
        assert_eq!(first.fingerprint, second.fingerprint, "seed {seed}");
    }
}
