//! The problems of the document: every code with its status, and which of them go together.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::operation::content;

/// Every code of our own, with its status. A domain has codes beside them, all of status 422.
pub(super) const CODES: &[(u16, &str)] = &[
    (400, "malformed_json"),
    (400, "not_an_object"),
    (400, "no_command_type"),
    (400, "unknown_command"),
    (400, "bad_field"),
    (400, "bad_id"),
    (400, "bad_header"),
    (400, "bad_position"),
    (400, "bad_body"),
    (400, "unknown_parameter"),
    (400, "bad_parameter"),
    (400, "body_broken"),
    (400, "position_unknown"),
    (400, "bad_key"),
    (400, "not_a_version"),
    (400, "not_indexed"),
    (400, "bad_cursor"),
    (400, "history_too_long"),
    (400, "bad_line"),
    (401, "no_credentials"),
    (401, "bad_credentials"),
    (401, "token_expired"),
    (403, "missing_role"),
    (403, "not_permitted"),
    (404, "no_such_route"),
    (404, "unknown_aggregate"),
    (404, "unknown_projection"),
    (404, "unknown_replay"),
    (404, "unknown_verification"),
    (404, "unknown_policy"),
    (404, "unknown_parked"),
    (404, "schema_not_found"),
    (404, "aggregate_not_found"),
    (404, "version_not_found"),
    (404, "not_committed"),
    (404, "view_not_found"),
    (405, "method_not_allowed"),
    (406, "not_acceptable"),
    (408, "body_too_slow"),
    (409, "replay_running"),
    (409, "verification_running"),
    (409, "not_waiting"),
    (409, "nothing_before"),
    (409, "in_flight"),
    (412, "version_differs"),
    (413, "body_too_large"),
    (413, "line_too_long"),
    (413, "events_too_large"),
    (414, "uri_too_long"),
    (415, "unsupported_media_type"),
    (422, "still_parked"),
    (422, "needs_replay"),
    (422, "key_reused"),
    (429, "too_often"),
    (500, "internal"),
    (503, "out_of_turn"),
    (503, "queue_full"),
    (503, "cache_full"),
    (503, "search_timeout"),
    (503, "keys_full"),
    (503, "no_owner"),
    (503, "log_unavailable"),
    (503, "views_unavailable"),
    (503, "state_unavailable"),
    (503, "views_refused"),
    (503, "views_full"),
    (503, "behind"),
    (503, "not_folded_here"),
    (503, "partition_busy"),
    (503, "streams_full"),
    (503, "readers_busy"),
    (503, "log_too_slow"),
    (503, "history_unreadable"),
    (503, "busy"),
    (503, "decide_timeout"),
    (503, "not_ready"),
    (503, "shutting_down"),
    (504, "outcome_unknown"),
];

/// What the domain refuses has a code of its own.
pub(super) const REFUSED: &str = "refused";

/// What any request may be answered.
pub(super) const ANY: &[&str] =
    &["not_acceptable", "uri_too_long", "unknown_parameter", "internal"];

/// What a request may be answered that needs a caller.
pub(super) const CALLER: &[&str] = &[
    "no_credentials",
    "bad_credentials",
    "token_expired",
    "missing_role",
    "not_permitted",
    "too_often",
];

/// What a request with a body may be answered.
pub(super) const BODY: &[&str] =
    &["body_too_large", "body_too_slow", "body_broken", "unsupported_media_type"];

/// What the writer of a partition may answer.
pub(super) const WRITER: &[&str] = &[
    REFUSED,
    "cache_full",
    "decide_timeout",
    "history_unreadable",
    "in_flight",
    "keys_full",
    "log_unavailable",
    "no_owner",
    "outcome_unknown",
    "queue_full",
    "search_timeout",
    "shutting_down",
    "state_unavailable",
];

/// What a query that may wait for a position may be answered.
pub(super) const WAIT: &[&str] = &["bad_position", "position_unknown", "behind"];

/// What the view store may answer.
pub(super) const STORE: &[&str] = &["behind", "views_full", "views_refused", "views_unavailable"];

/// What who reads the log may be answered.
pub(super) const LOG: &[&str] =
    &["history_unreadable", "log_too_slow", "log_unavailable", "readers_busy"];

/// The answers of these codes, by status.
pub(super) fn answers(codes: &[&str]) -> BTreeMap<u16, Value> {
    let mut by_status: BTreeMap<u16, Vec<&str>> = BTreeMap::new();
    for code in codes {
        let status = CODES.iter().find(|(_, known)| known == code);
        let status = status.map_or(422, |(status, _)| *status);
        let codes = by_status.entry(status).or_default();
        if !codes.contains(code) {
            codes.push(code);
        }
    }
    let answer = |(status, codes): (u16, Vec<&str>)| (status, answer(status, &codes));
    by_status.into_iter().map(answer).collect()
}

fn answer(status: u16, codes: &[&str]) -> Value {
    let by_domain = codes.contains(&REFUSED);
    let mut properties = json!({ "status": { "const": status } });
    if !by_domain {
        properties["code"] = json!({ "enum": codes });
    }
    let said: Vec<String> = codes.iter().map(|code| format!("`{code}`")).collect();
    let said = said.join(", ").replace("`refused`", "what the domain refuses, with its own code");
    let of = json!({ "type": "object", "properties": properties });
    let schema = json!({ "allOf": [{ "$ref": "#/components/schemas/Problem" }, of] });
    let mut headers = json!({});
    if status == 401 || status == 403 {
        headers["WWW-Authenticate"] = json!({ "$ref": "#/components/headers/WWW-Authenticate" });
    }
    if status == 429 || status == 503 {
        headers["Retry-After"] = json!({ "$ref": "#/components/headers/Retry-After" });
    }
    json!({
        "description": said,
        "headers": headers,
        "content": content("application/problem+json", schema),
    })
}
