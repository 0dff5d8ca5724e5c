//! Planted mistakes: without any one of the checks that keep the laws, some history breaks one.
//!
//! A simulation that finds nothing proves nothing until it has found these.

use retell::log::Checks;

use super::history::run;

/// Histories in which a missing check must show.
const HISTORIES_MAX: u64 = 1_000;

#[test]
fn without_the_chain_check_a_law_is_broken() {
    must_show(Checks { chain: false, ..Checks::default() });
}

#[test]
fn without_the_gap_check_a_law_is_broken() {
    must_show(Checks { gap: false, ..Checks::default() });
}

#[test]
fn without_a_claim_before_deciding_again_a_law_is_broken() {
    must_show(Checks { claim_before_deciding: false, ..Checks::default() });
}

#[test]
fn without_the_claim_id_a_law_is_broken() {
    must_show(Checks { claim_id: false, ..Checks::default() });
}

#[test]
fn without_the_comparison_of_checkpoints_a_law_is_broken() {
    must_show(Checks { checkpoint: false, ..Checks::default() });
}

#[test]
fn without_the_log_id_a_law_is_broken() {
    must_show(Checks { log_id: false, ..Checks::default() });
}

#[test]
fn without_looking_for_the_first_outcome_a_law_is_broken() {
    must_show(Checks { first_outcome: false, ..Checks::default() });
}

#[test]
fn without_comparing_its_own_checkpoint_a_writer_breaks_a_law() {
    must_show(Checks { own_checkpoint: false, ..Checks::default() });
}

#[test]
fn without_the_rule_of_eviction_a_law_is_broken() {
    must_show(Checks { eviction: false, ..Checks::default() });
}

#[test]
fn without_turns_a_row_loses_its_order() {
    must_show(Checks { turns: false, ..Checks::default() });
}

fn must_show(checks: Checks) {
    assert_ne!(checks, Checks::default(), "a check is left out");
    let violation = (0..HISTORIES_MAX).find_map(|seed| run(seed, checks).err());
    match violation {
        Some(violation) => println!("{violation}"),
        None => panic!("{HISTORIES_MAX} histories show nothing wrong with {checks:?}"),
    }
}
