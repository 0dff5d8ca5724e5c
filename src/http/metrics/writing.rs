//! The numbers of commands and of the log.

use crate::contract::{Offset, Partition};
use crate::write::{Ownership, WriterStatus};

use super::super::Door;
use super::MICROS;
use super::exposition::Exposition;
use super::families::{Family, counter, gauge, histogram};

pub(super) const FAMILIES: &[Family] = &[
    counter(
        "retell_commands_total",
        &["aggregate", "outcome"],
        "Commands by what became of them: done, replayed, refused, conflict, invalid, \
         unavailable, unknown, failed.",
    ),
    histogram(
        "retell_command_seconds",
        &["aggregate"],
        "From when a command was read to its answer.",
    ),
    gauge(
        "retell_commands_queued",
        &["partition"],
        "Commands that wait for the writer of a partition.",
    ),
    histogram(
        "retell_append_seconds",
        &[],
        "From when a record was handed to the log to when the log had proved it.",
    ),
    histogram(
        "retell_record_bytes",
        &[],
        "Bytes of key and value of the records that were appended.",
    ),
    gauge(
        "retell_records_in_flight",
        &["partition"],
        "Records that were handed to the log and are not proved yet.",
    ),
    gauge("retell_partition_owned", &["partition"], "1 where this node decides commands."),
    gauge("retell_partition_term", &["partition"], "The term in which it does."),
    gauge(
        "retell_log_end",
        &["partition"],
        "The offset after the last record of the log, if it says so in time.",
    ),
    counter(
        "retell_records_total",
        &["partition", "mark"],
        "Records that the writer has seen since it started, by what they are: counts, claim, \
         void, foreign.",
    ),
    counter(
        "retell_alarms_total",
        &["partition"],
        "Records with a right stamp that no writer of ours can have sent.",
    ),
    gauge("retell_aggregates", &["partition"], "Aggregates in memory."),
    gauge(
        "retell_aggregates_unreadable",
        &["partition"],
        "Aggregates whose history cannot be read.",
    ),
    counter(
        "retell_aggregate_hits_total",
        &["partition"],
        "Commands whose aggregate was in memory.",
    ),
    counter(
        "retell_aggregate_misses_total",
        &["partition"],
        "Aggregates that were read from the view store first.",
    ),
    gauge(
        "retell_states_behind",
        &["partition"],
        "Offsets that the stored states are behind: what a restart reads.",
    ),
    gauge("retell_keys", &["partition"], "Idempotency-Keys whose outcome can be found."),
];

pub(super) fn put(door: &Door, ends: &[(Partition, Option<Offset>)], all: &mut Exposition) {
    for measured in door.commands.measured() {
        let aggregate = ("aggregate", measured.aggregate);
        for (outcome, count) in measured.outcomes {
            all.put("retell_commands_total", &[aggregate, ("outcome", outcome)], count);
        }
        all.distribution("retell_command_seconds", &[aggregate], &measured.durations, MICROS);
    }
    let appends = door.commands.measured_appends();
    all.distribution("retell_append_seconds", &[], &appends.durations, MICROS);
    all.distribution("retell_record_bytes", &[], &appends.bytes, 1.0);
    for (partition, queued) in door.commands.queued() {
        all.put("retell_commands_queued", &[("partition", &partition.to_string())], queued);
    }
    for ((partition, end), writer) in ends.iter().zip(door.commands.status()) {
        let partition = partition.to_string();
        if let Some(end) = end {
            all.put("retell_log_end", &[("partition", &partition)], end);
        }
        put_writer(&partition, &writer, all);
    }
}

fn put_writer(partition: &str, writer: &WriterStatus, all: &mut Exposition) {
    let labels = &[("partition", partition)];
    all.put("retell_partition_owned", labels, u8::from(writer.ownership.is_owner()));
    if let Ownership::Owner { term } = writer.ownership {
        all.put("retell_partition_term", labels, term.0);
    }
    let records = &writer.records;
    let marks = [
        ("counts", records.commits),
        ("claim", records.claims),
        ("void", records.void),
        ("foreign", records.foreign),
    ];
    for (mark, count) in marks {
        let labels = &[("partition", partition), ("mark", mark)];
        all.put("retell_records_total", labels, count);
    }
    all.put("retell_records_in_flight", labels, writer.in_flight);
    all.put("retell_alarms_total", labels, writer.alarms);
    all.put("retell_aggregates", labels, writer.aggregates);
    all.put("retell_aggregates_unreadable", labels, writer.unreadable);
    all.put("retell_aggregate_hits_total", labels, writer.hits);
    all.put("retell_aggregate_misses_total", labels, writer.misses);
    all.put("retell_states_behind", labels, writer.behind);
    all.put("retell_keys", labels, writer.outcomes);
}
