//! The numbers of policies, of the timer, and of the inbox and the outbox.

use crate::contract::{Offset, Partition};
use crate::react::policies::PolicyState;

use super::super::{Door, admin};
use super::exposition::Exposition;
use super::families::{Family, counter, gauge};

pub(super) const FAMILIES: &[Family] = &[
    gauge(
        "retell_policy_lag_records",
        &["policy", "partition"],
        "Records from which something may follow that is neither done nor held back.",
    ),
    gauge(
        "retell_policy_following",
        &["policy", "partition"],
        "1 where this node issues what follows, or stands by for another that does.",
    ),
    gauge("retell_policy_parked", &["policy", "partition"], "Aggregates that are held back."),
    gauge("retell_inbox_lag_messages", &["partition"], "Messages of the inbox that are not done."),
    gauge("retell_inbox_in_flight", &[], "Commands of the inbox that are under way."),
    counter("retell_inbox_answers_total", &[], "Messages that were answered, problems too."),
    counter("retell_inbox_problems_total", &[], "Of these, the ones that are problems."),
    counter(
        "retell_inbox_repeats_total",
        &[],
        "How often a command could not be done then, and was tried again.",
    ),
    gauge(
        "retell_outbox_lag_records",
        &["partition"],
        "Records of the log that are not published.",
    ),
    counter("retell_outbox_messages_total", &["partition"], "Messages that were published."),
    gauge(
        "retell_timer_last_tick_seconds",
        &[],
        "When the last tick was whose command has an outcome, since 1970.",
    ),
];

pub(super) async fn put(door: &Door, ends: &[(Partition, Option<Offset>)], all: &mut Exposition) {
    let lag = |partition: Partition, next: Offset| {
        let end = ends.get(partition.0 as usize).and_then(|(_, end)| *end)?;
        Some(end.0.saturating_sub(next.0))
    };
    for policy in door.policies.list() {
        for at in policy.partitions {
            let partition = at.partition.to_string();
            let labels = &[("policy", policy.name), ("partition", partition.as_str())];
            let follows = matches!(at.state, PolicyState::Following | PolicyState::StandingBy);
            if let Some(lag) = lag(at.partition, at.next) {
                all.put("retell_policy_lag_records", labels, lag);
            }
            all.put("retell_policy_following", labels, u8::from(follows));
            all.put("retell_policy_parked", labels, at.parked);
        }
    }
    for relay in door.outbox.iter().flat_map(|outbox| outbox.status()) {
        let partition = relay.partition.to_string();
        let labels = &[("partition", partition.as_str())];
        if let Some(lag) = relay.next.and_then(|next| lag(relay.partition, next)) {
            all.put("retell_outbox_lag_records", labels, lag);
        }
        all.put("retell_outbox_messages_total", labels, relay.published);
    }
    if let Some(last) = door.timer.status().last {
        all.put("retell_timer_last_tick_seconds", &[], last.millis() as f64 / 1e3);
    }
    put_inbox(door, all).await;
}

async fn put_inbox(door: &Door, all: &mut Exposition) {
    let Some(inbox) = admin::inbox(door).await else { return };
    let status = inbox.status;
    all.put("retell_inbox_in_flight", &[], status.in_flight);
    all.put("retell_inbox_answers_total", &[], status.answered);
    all.put("retell_inbox_problems_total", &[], status.problems);
    all.put("retell_inbox_repeats_total", &[], status.repeated);
    for taken in inbox.partitions {
        if let Some(lag) = taken.lag {
            let partition = taken.partition.to_string();
            all.put("retell_inbox_lag_messages", &[("partition", &partition)], lag);
        }
    }
}
