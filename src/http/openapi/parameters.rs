//! The parameters of the document: of paths, of queries, and headers.
//!
//! A header that HTTP says to ignore when it is wrong is any text here.

use serde_json::{Value, json};

/// An id or a view key. Bytes are what is counted; OpenAPI has characters only.
pub(super) fn key_schema() -> Value {
    json!({
        "description": "1 to 200 bytes of UTF-8 without control characters and `/`, and neither \
                        `.` nor `..`.",
        "type": "string",
        "minLength": 1,
        "maxLength": 200,
        "pattern": "^[^/\\u0000-\\u001f\\u007f-\\u009f]+$",
        "not": { "enum": [".", ".."] },
    })
}

/// A name that Retell makes or keeps for a command.
pub(super) fn command_id_schema() -> Value {
    json!({
        "type": "string",
        "description": "1 to 255 visible ASCII characters.",
        "pattern": format!("^{OWN_PREFIXES}[!-~]{{1,255}}$"),
    })
}

/// What a client's own id does not begin with, unless Retell gave it.
const OWN_PREFIXES: &str = "(?!(policy|process|timer|inbox):|cmd:(?!\
    [0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}\"?$))";

pub(super) fn path(name: &str, schema: Value, description: &str) -> Value {
    json!({
        "name": name,
        "in": "path",
        "required": true,
        "description": description,
        "schema": schema,
    })
}

pub(super) fn query(name: &str, schema: Value, description: &str) -> Value {
    json!({ "name": name, "in": "query", "description": description, "schema": schema })
}

fn header(name: &str, schema: Value, description: &str) -> Value {
    json!({ "name": name, "in": "header", "description": description, "schema": schema })
}

/// The names of a path that there are; any where there are none.
pub(super) fn one_of(names: &[&str]) -> Value {
    match names {
        [] => json!({ "type": "string" }),
        names => json!({ "enum": names }),
    }
}

pub(super) fn uuid() -> Value {
    json!({ "type": "string", "format": "uuid" })
}

pub(super) fn time() -> Value {
    json!({ "type": "string", "format": "date-time" })
}

pub(super) fn limit(max: usize, usual: usize) -> Value {
    let schema = json!({ "type": "integer", "minimum": 1, "maximum": max, "default": usual });
    query("limit", schema, "The most items of a page.")
}

pub(super) fn request_id() -> Value {
    let says = "A name for the request, in its answer and in the log. One that is no 1 to 128 \
                visible ASCII characters is replaced.";
    header("X-Request-Id", json!({ "type": "string" }), says)
}

/// What a query may wait for.
pub(super) fn wait() -> Vec<Value> {
    let one = "(0|[1-9][0-9]{0,8})@(0|[1-9][0-9]{0,18})\\s*";
    let positions = format!("^\\s*{one}(,\\s*{one})*$");
    vec![
        header(
            "Retell-Position",
            json!({ "type": "string", "pattern": positions, "examples": ["5@1234, 6@77"] }),
            "The answer is of at least these positions of the log.",
        ),
        header(
            "Prefer",
            json!({ "type": "string", "examples": ["wait=10"] }),
            "`wait=SECONDS`: how long to wait for the positions.",
        ),
    ]
}

/// Where an event stream goes on.
pub(super) fn after() -> Value {
    let says = "For an event stream: its position, behind which it goes on.";
    header("Last-Event-ID", json!({ "type": "string" }), says)
}

pub(super) fn none_match() -> Value {
    let says = "The ETag of what the client has.";
    header("If-None-Match", json!({ "type": "string" }), says)
}

/// When a command may be done.
pub(super) fn conditions() -> Vec<Value> {
    let quoted = format!("\"{OWN_PREFIXES}([!#-\\[\\]-~]|\\\\[\"\\\\]){{1,255}}\"");
    let plain = format!("{OWN_PREFIXES}[!#-~][!-~]{{0,254}}");
    vec![
        header(
            "Idempotency-Key",
            json!({ "type": "string", "pattern": format!("^({plain}|{quoted})$") }),
            "Makes it safe to send the command again: its first outcome is given again.",
        ),
        header(
            "If-Match",
            json!({
                "anyOf": [
                    { "const": "*" },
                    { "type": "string", "pattern": "^(W/)?\"(0|[1-9][0-9]{0,18})\"$" },
                ],
                "examples": ["\"4\""],
            }),
            "The version that the aggregate must have; `*`: it must exist. Not with If-None-Match.",
        ),
        header(
            "If-None-Match",
            json!({ "type": "string", "const": "*" }),
            "The aggregate must not exist.",
        ),
    ]
}

/// What travels with a command into its record.
pub(super) fn metadata() -> Vec<Value> {
    let id = || json!({ "type": "string", "pattern": "^[!-~]{1,255}$" });
    vec![
        header("X-Correlation-Id", id(), "What belongs together has the same."),
        header("X-Causation-Id", id(), "The id of the command or event that caused this one."),
        header(
            "traceparent",
            json!({ "type": "string" }),
            "A W3C trace context; one that is none is ignored.",
        ),
    ]
}

/// The headers of answers; what follows a dot tells apart those of one name.
pub(super) fn response_headers() -> Value {
    let text = || json!({ "type": "string" });
    let positions = || json!({ "type": "string", "pattern": "^[0-9]+@[0-9]+(, [0-9]+@[0-9]+)*$" });
    let version = || json!({ "type": "string", "pattern": "^\"[0-9]+\"$" });
    let number = || json!({ "type": "integer", "minimum": 1 });
    let content = || json!({ "type": "string", "pattern": "^\"[0-9a-f]{32}\"$" });
    json!({
        "ETag": answered("Names the content.", true, content()),
        "ETag.version": answered("The aggregate's version.", true, version()),
        "Idempotency-Replayed":
            answered("This outcome was given before.", false, json!({ "const": "true" })),
        "Location": answered("Where the job is, relative to this route.", true, text()),
        "Preference-Applied": answered("How long would have been waited.", false, text()),
        "Retell-Command-Id": answered("The id of the command.", true, text()),
        "Retell-Position": answered("What the answer is of.", true, positions()),
        "Retell-Position.sometimes": answered("What the answer is of.", false, positions()),
        "Retry-After": answered("Seconds until the same may succeed.", true, number()),
        "X-Request-Id": answered("The request's name.", true, text()),
    })
}

fn answered(description: &str, required: bool, schema: Value) -> Value {
    json!({ "description": description, "required": required, "schema": schema })
}
