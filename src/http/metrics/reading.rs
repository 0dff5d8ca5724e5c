//! The numbers of projections, replays and verifications.

use crate::contract::Time;
use crate::read::{LaneState, LaneStatus, ReplayState, VerificationState};

use super::super::Door;
use super::MICROS;
use super::exposition::Exposition;
use super::families::{Family, counter, gauge, histogram};

pub(super) const FAMILIES: &[Family] = &[
    gauge(
        "retell_projection_lag_records",
        &["projection", "partition"],
        "Records that are not in the views yet.",
    ),
    gauge(
        "retell_projection_lag_seconds",
        &["projection", "partition"],
        "The age of the last record in the views; 0 where nothing is behind.",
    ),
    gauge(
        "retell_projection_following",
        &["projection", "partition"],
        "1 where this node folds what is appended, or stands by for another that does.",
    ),
    gauge(
        "retell_projection_paused",
        &["projection"],
        "1 where nobody folds it because somebody wants it so.",
    ),
    gauge(
        "retell_projection_parked",
        &["projection", "partition"],
        "Aggregates that are held back.",
    ),
    histogram(
        "retell_view_commit_seconds",
        &["projection"],
        "How long the store took for a commit of views.",
    ),
    histogram("retell_view_commit_changes", &["projection"], "Changes of a commit of views."),
    counter(
        "retell_view_hits_total",
        &["projection"],
        "Views that queries found in memory (read.kept_bytes_max).",
    ),
    counter("retell_view_misses_total", &["projection"], "Views for which they asked the store."),
    gauge("retell_replays_running", &[], "Replays that run."),
    gauge("retell_replay_records", &[], "Records that they have folded."),
    gauge("retell_replay_records_expected", &[], "Records that they have to fold."),
    gauge("retell_verifications_running", &[], "Verifications that run."),
    counter(
        "retell_samples_total",
        &["projection"],
        "Samples of views that were compared with the log (verify.sample_interval_ms).",
    ),
    counter("retell_sampled_views_total", &["projection"], "Views in them."),
    counter("retell_sampled_differences_total", &["projection"], "Views in them that differ."),
];

pub(super) fn put(door: &Door, all: &mut Exposition) {
    let now = door.commands.now();
    for info in door.views.list() {
        let projection = ("projection", info.name);
        all.put("retell_projection_paused", &[projection], u8::from(info.paused));
        all.put("retell_samples_total", &[projection], info.sampled.samples);
        all.put("retell_sampled_views_total", &[projection], info.sampled.views);
        all.put("retell_sampled_differences_total", &[projection], info.sampled.differences);
        for lane in &info.partitions {
            put_lane(info.name, lane, now, all);
        }
    }
    for measured in door.views.measured() {
        let labels = &[("projection", measured.projection)];
        all.distribution("retell_view_commit_seconds", labels, &measured.commits, MICROS);
        all.distribution("retell_view_commit_changes", labels, &measured.changes, 1.0);
        all.put("retell_view_hits_total", labels, measured.hits);
        all.put("retell_view_misses_total", labels, measured.misses);
    }
    put_jobs(door, all);
}

fn put_lane(projection: &str, lane: &LaneStatus, now: Time, all: &mut Exposition) {
    let partition = lane.partition.to_string();
    let labels = &[("projection", projection), ("partition", partition.as_str())];
    let follows = matches!(lane.state, LaneState::Following | LaneState::StandingBy);
    all.put("retell_projection_lag_records", labels, lane.lag);
    all.put("retell_projection_lag_seconds", labels, lane.lag_time(now).as_secs_f64());
    all.put("retell_projection_following", labels, u8::from(follows));
    all.put("retell_projection_parked", labels, lane.parked);
}

fn put_jobs(door: &Door, all: &mut Exposition) {
    let replays = door.replays.list().into_iter();
    let running: Vec<_> = replays.filter(|it| it.state == ReplayState::Running).collect();
    let records: u64 = running.iter().map(|replay| replay.records).sum();
    let expected: u64 = running.iter().map(|replay| replay.records_total).sum();
    all.put("retell_replays_running", &[], running.len());
    all.put("retell_replay_records", &[], records);
    all.put("retell_replay_records_expected", &[], expected);
    let verifications = door.verifications.list().into_iter();
    let running = verifications.filter(|it| it.state == VerificationState::Running).count();
    all.put("retell_verifications_running", &[], running);
}
