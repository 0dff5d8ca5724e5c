//! The numbers of the service as a whole.

use super::super::Door;
use super::super::answers::Answers;
use super::exposition::Exposition;
use super::families::{Family, counter, gauge};

pub(super) const FAMILIES: &[Family] = &[
    gauge(
        "retell_info",
        &["version", "node"],
        "Always 1; says which version runs under which name.",
    ),
    gauge("retell_ready", &[], "1 when every command and every query can be answered."),
    gauge(
        "retell_not_ready",
        &["code"],
        "1 for each reason why that is not so, as /health/ready has it.",
    ),
    counter(
        "retell_http_answers_total",
        &["route", "status"],
        "Answers by the first word of the path and the status.",
    ),
];

pub(super) async fn put(door: &Door, answers: &Answers, all: &mut Exposition) {
    let version = env!("CARGO_PKG_VERSION");
    all.put("retell_info", &[("version", version), ("node", &door.node.id)], 1);
    let reasons = door.not_ready().await;
    all.put("retell_ready", &[], u8::from(reasons.is_empty()));
    let mut codes: Vec<&str> = reasons.iter().map(|reason| reason.code).collect();
    codes.sort_unstable();
    codes.dedup();
    for code in codes {
        all.put("retell_not_ready", &[("code", code)], 1);
    }
    for (route, status, count) in answers.counted() {
        let labels = &[("route", route), ("status", &*status.to_string())];
        all.put("retell_http_answers_total", labels, count);
    }
}
