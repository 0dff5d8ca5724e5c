//! L1, L3 and L4: whether what was answered to each call, and to each key, is what the log has.

use std::collections::{BTreeMap, BTreeSet};

use super::checker::Case;
use super::history::{Call, Outcome};
use super::ledger::Entry;

pub(super) fn check(case: &Case<'_>, all: &mut Vec<String>) {
    check_entries(case, all);
    for call in case.calls {
        let what = broken_by_commits(call, case.written_by(call));
        all.extend(what.map(|what| format!("{what}: {call:?}")));
    }
    check_acknowledged(case, all);
    check_keys(case, all);
}

/// Each commit and each event is there once, and because somebody asked for it.
fn check_entries(case: &Case<'_>, all: &mut Vec<String>) {
    let calls: BTreeSet<_> = case.calls.iter().map(|call| call.id.as_str()).collect();
    for (call, entries) in &case.by_call {
        if !calls.contains(call) {
            all.push(format!("L3 nobody asked for this: {entries:?}"));
        }
        if entries.len() > 1 {
            all.push(format!("L1 one call counts more than once: {entries:?}"));
        }
    }
    let mut seen = BTreeSet::new();
    for event in case.ledger.entries.iter().flat_map(|entry| &entry.events) {
        if !seen.insert(event) {
            all.push(format!("L1 the event {event} counts more than once"));
        }
    }
}

/// What a call that was not done must not have in the log.
fn broken_by_commits(call: &Call, written: &[&Entry]) -> Option<&'static str> {
    let has_events = written.iter().any(|entry| !entry.events.is_empty());
    match &call.outcome {
        Outcome::Differs { .. } | Outcome::NotDone { .. } if !written.is_empty() => {
            Some("L3 it counts, though it was said not to be done")
        }
        Outcome::Refused { .. } if has_events => Some("L3 it has events, though refused"),
        Outcome::Refused { .. } if call.request.key.is_none() && !written.is_empty() => {
            Some("L3 it counts, though refused, and has no key to be kept for")
        }
        _ => None,
    }
}

/// L1: what is acknowledged is at its position, in its version, with its events.
fn check_acknowledged(case: &Case<'_>, all: &mut Vec<String>) {
    let entries = case.ledger.entries.iter();
    let by_position: BTreeMap<_, _> = entries.map(|entry| (entry.position, entry)).collect();
    for call in case.calls {
        let Outcome::Done { version, position, events, replayed } = &call.outcome else { continue };
        let entry = by_position.get(position);
        let is_there = entry.is_some_and(|entry| {
            let is_whole = entry.version() == *version && entry.events == *events;
            let is_own = *replayed || entry.call == call.id;
            let is_of_key = call.request.key.as_ref().is_none_or(|key| *key == entry.command_id);
            let is_in_time = call.ended.is_some_and(|ended| entry.time <= ended);
            is_whole && is_own && is_of_key && is_in_time && entry.account == call.request.account
        });
        if !is_there {
            all.push(format!("L1 it is not there as acknowledged ({entry:?}): {call:?}"));
        }
    }
}

/// L4: a key has one record at most, and every final answer to it says what that record says.
fn check_keys(case: &Case<'_>, all: &mut Vec<String>) {
    let mut by_key: BTreeMap<(&str, &str), Vec<&Entry>> = BTreeMap::new();
    for entry in &case.ledger.entries {
        by_key.entry((&entry.account, &entry.command_id)).or_default().push(entry);
    }
    for entries in by_key.values().filter(|entries| entries.len() > 1) {
        all.push(format!("L4 one command id counts more than once: {entries:?}"));
    }
    let mut firsts: BTreeMap<(&str, &str), Outcome> = BTreeMap::new();
    for call in case.calls.iter().filter(|call| call.outcome.is_final()) {
        let Some(key) = &call.request.key else { continue };
        let (place, outcome) = ((call.request.account.as_str(), key.as_str()), call.outcome.bare());
        let recorded = by_key.get(&place).and_then(|entries| entries.first());
        if !recorded.is_some_and(|entry| is_recorded(&outcome, entry)) {
            all.push(format!("L4 its record says something else ({recorded:?}): {call:?}"));
        }
        let first = firsts.entry(place).or_insert_with(|| outcome.clone());
        if *first != outcome {
            all.push(format!("L4 the key was first answered {first:?}: {call:?}"));
        }
    }
}

fn is_recorded(outcome: &Outcome, entry: &Entry) -> bool {
    match outcome {
        Outcome::Done { position, .. } => entry.refused.is_none() && entry.position == *position,
        Outcome::Refused { code, detail, .. } => {
            entry.refused.as_ref() == Some(&(code.clone(), detail.clone()))
        }
        _ => false,
    }
}

impl Outcome {
    /// The same, whether it was given for the first time or again.
    fn bare(&self) -> Self {
        let mut bare = self.clone();
        if let Self::Done { replayed, .. } | Self::Refused { replayed, .. } = &mut bare {
            *replayed = false;
        }
        bare
    }
}
