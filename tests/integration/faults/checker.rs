//! The one checker: what of the laws L1 to L6 do these answers and this topic break?
//!
//! Each violation begins with its law. L5 and the versions of L2 are seen in the topic alone
//! (`ledger`), what was answered is compared with it here (L2, L6) and in `outcomes` (L1, L3, L4).

use std::collections::{BTreeMap, btree_map::Entry as Place};

use retell::{Position, Time};

use super::history::{Call, Order, Outcome};
use super::ledger::{Entry, Ledger, State};
use super::outcomes;
use super::topic::Topic;

/// What was answered beside what is in the log.
pub(super) struct Case<'a> {
    pub(super) calls: &'a [Call],
    pub(super) ledger: &'a Ledger,
    /// The commits that count, by the call that wrote them.
    pub(super) by_call: BTreeMap<&'a str, Vec<&'a Entry>>,
    /// For each account what clients knew of its version, and since when.
    known: BTreeMap<&'a str, Vec<(Time, u64)>>,
}

/// Every law that is broken.
pub(super) fn violations(calls: &[Call], topic: &Topic) -> Vec<String> {
    let ledger = Ledger::of(topic);
    let case = Case::of(calls, &ledger);
    let mut all = ledger.flaws.clone();
    outcomes::check(&case, &mut all);
    case.check_versions(&mut all);
    for call in calls {
        all.extend(case.broken_by_state(call).map(|what| format!("L6 {what}: {call:?}")));
    }
    for entry in &ledger.entries {
        all.extend(case.broken_by_decision(entry).map(|what| format!("L6 {what}: {entry:?}")));
    }
    all
}

impl<'a> Case<'a> {
    fn of(calls: &'a [Call], ledger: &'a Ledger) -> Self {
        let mut by_call: BTreeMap<&str, Vec<&Entry>> = BTreeMap::new();
        for entry in &ledger.entries {
            by_call.entry(&entry.call).or_default().push(entry);
        }
        let mut known: BTreeMap<&str, Vec<(Time, u64)>> = BTreeMap::new();
        for call in calls {
            if let (Some(ended), Some(version)) = (call.ended, call.outcome.version()) {
                known.entry(&call.request.account).or_default().push((ended, version));
            }
        }
        for all in known.values_mut() {
            all.sort_unstable();
            let mut highest = 0;
            for (_, version) in all {
                highest = highest.max(*version);
                *version = highest;
            }
        }
        Self { calls, ledger, by_call, known }
    }

    /// The commits that a call wrote; at most one in a lawful log.
    pub(super) fn written_by(&self, call: &Call) -> &[&'a Entry] {
        self.by_call.get(call.id.as_str()).map_or(&[], Vec::as_slice)
    }

    /// L2: one version is acknowledged to one command only.
    fn check_versions(&self, all: &mut Vec<String>) {
        let mut owners: BTreeMap<(&str, u64), Position> = BTreeMap::new();
        for call in self.calls {
            let Outcome::Done { version, position, .. } = &call.outcome else { continue };
            match owners.entry((&call.request.account, *version)) {
                Place::Vacant(place) => drop(place.insert(*position)),
                Place::Occupied(place) if place.get() == position => {}
                Place::Occupied(place) => {
                    let first = place.get();
                    all.push(format!("L2 the version is also acknowledged at {first}: {call:?}"));
                }
            }
        }
    }

    /// The version of the account that everybody may know when a call begins: what was answered
    /// before must not be forgotten.
    fn known_to(&self, call: &Call) -> u64 {
        let known = self.known.get(call.request.account.as_str()).map_or(&[][..], Vec::as_slice);
        let before = known.partition_point(|(ended, _)| *ended < call.begun);
        before.checked_sub(1).map_or(0, |last| known[last].1)
    }

    /// The states that an answer may be true of: from what was known when the call began to what
    /// was in the log when it ended.
    fn seen_by(&self, call: &Call) -> impl Iterator<Item = (u64, State)> {
        let (known, ended) = (self.known_to(call), call.ended.unwrap_or_default());
        let versions = (0..).zip(self.ledger.states(&call.request.account).iter().copied());
        versions
            .skip_while(move |(version, _)| *version < known)
            .take_while(move |(_, state)| state.since <= ended)
    }

    fn broken_by_state(&self, call: &Call) -> Option<String> {
        let Call { request, outcome, .. } = call;
        let what = match outcome {
            Outcome::Done { replayed: true, .. } | Outcome::Refused { replayed: true, .. } => None,
            Outcome::Differs { current } if request.expected == Some(*current) => {
                Some("the version is the one expected")
            }
            Outcome::Differs { current } => {
                let is_seen = self.seen_by(call).any(|(version, _)| version == *current);
                (!is_seen).then_some("the version is of no moment of the call")
            }
            Outcome::Refused { code, detail, .. } if request.key.is_none() => {
                let is_right = |state: State| is_refusal(request.order, state, code, detail);
                let is_seen = self.seen_by(call).any(|(_, state)| is_right(state));
                (!is_seen).then_some("the refusal is right at no moment of the call")
            }
            Outcome::Done { .. } | Outcome::Refused { .. } => {
                let known = self.known_to(call);
                let is_old = self.written_by(call).iter().any(|it| it.first_version <= known);
                is_old.then_some("it was decided on a version before one that was acknowledged")
            }
            Outcome::NotDone { .. } | Outcome::Unknown => None,
            Outcome::Wrong { .. } => Some("nobody should be answered that"),
        };
        what.map(str::to_owned)
    }

    /// Whether a commit was decided rightly on the version before it.
    fn broken_by_decision(&self, entry: &Entry) -> Option<String> {
        let call = self.calls.iter().find(|call| call.id == entry.call)?;
        let states = self.ledger.states(&entry.account);
        let at = |version: u64| states.get(usize::try_from(version).ok()?).copied();
        let before = at(entry.first_version - 1)?;
        let order = call.request.order;
        if call.request.expected.is_some_and(|it| it != entry.first_version - 1) {
            return Some("it was done on another version than was expected".to_owned());
        }
        match &entry.refused {
            Some((code, detail)) if is_refusal(order, before, code, detail) => None,
            None if refusal(order, before).is_none() => {
                let after = at(entry.version())?;
                (after.balance - before.balance != order.change())
                    .then(|| format!("{order:?} made {after:?} of {before:?}"))
            }
            _ => Some(format!("{order:?} was decided wrongly on {before:?}")),
        }
    }
}

impl Outcome {
    /// The version of the account that it tells.
    const fn version(&self) -> Option<u64> {
        match self {
            Self::Done { version, .. } | Self::Differs { current: version } => Some(*version),
            _ => None,
        }
    }
}

impl Order {
    const fn change(self) -> i64 {
        match self {
            Self::Open => 0,
            Self::Deposit(amount) => amount,
            Self::Withdraw(amount) => -amount,
        }
    }
}

fn is_refusal(order: Order, state: State, code: &str, detail: &str) -> bool {
    refusal(order, state).is_some_and(|(right, says)| right == code && detail.contains(&says))
}

/// Why an order must be refused in a state: the code, and what its sentence says at least.
fn refusal(order: Order, state: State) -> Option<(&'static str, String)> {
    match order {
        Order::Open => state.is_open.then(|| ("already_open", String::new())),
        _ if !state.is_open => Some(("not_open", String::new())),
        Order::Withdraw(amount) if amount > state.balance => {
            Some(("insufficient_funds", format!("the balance is {},", state.balance)))
        }
        Order::Deposit(_) | Order::Withdraw(_) => None,
    }
}
