//! The operations of `/commands`, once for each aggregate type.

use serde_json::{Value, json};

use super::super::commands::{Answer, DoneLine, OfLine, ProblemLine};
use super::domain::{Aggregate, Domain};
use super::operation::{Operation, content, get, post};
use super::schemas::Schemas;
use super::{parameters, problems};

const TAG: &str = "commands";
const JSON: &str = "application/json";
const NDJSON: &str = "application/x-ndjson";

pub(super) fn operations(domain: &Domain, schemas: &mut Schemas) -> Vec<Operation> {
    let mut all = vec![batch(domain, schemas)];
    for aggregate in &domain.aggregates {
        all.extend(of_aggregate(aggregate, schemas));
    }
    all
}

fn of_aggregate(aggregate: &Aggregate, schemas: &mut Schemas) -> [Operation; 3] {
    let name = aggregate.name;
    let id = || parameters::path("id", parameters::key_schema(), "The aggregate's id.");
    let answer = answer(aggregate, schemas);
    let new = sent(
        post("/commands/{aggregate}", TAG, &format!("A command for a new {name}")).says(
            "The service chooses the id: the same for the same Idempotency-Key, else a new one.",
        ),
        aggregate,
        &answer,
    );
    let to = post("/commands/{aggregate}/{id}", TAG, &format!("A command for one {name}"));
    let to = sent(to, aggregate, &answer).takes([id()]).refuses(&["bad_id"]);
    let command_id = parameters::path("command_id", parameters::command_id_schema(), "Its id.");
    let summary = format!("What became of a command for one {name}");
    let outcome = get("/commands/{aggregate}/{id}/{command_id}", TAG, &summary)
        .takes([id(), command_id])
        .answers(200, "Its outcome.", content(JSON, answer), DONE)
        .refuses(problems::WRITER)
        .refuses(&["bad_id", "not_committed"]);
    [new, to, outcome].map(|operation| operation.at("aggregate", name))
}

/// The headers of the answer to a command that was done.
const DONE: &[&str] =
    &["ETag.version", "Idempotency-Replayed", "Retell-Command-Id", "Retell-Position"];

fn sent(operation: Operation, aggregate: &Aggregate, answer: &Value) -> Operation {
    operation
        .always_has(&["Retell-Command-Id"])
        .takes(parameters::conditions())
        .takes(parameters::metadata())
        .takes_body(content(JSON, aggregate.command.clone()), true)
        .answers(200, "It was done.", content(JSON, answer.clone()), DONE)
        .refuses(problems::WRITER)
        .refuses(&["bad_header", "bad_key", "not_a_version", "version_differs", "key_reused"])
        .refuses(&["malformed_json", "not_an_object", "no_command_type", "unknown_command"])
        .refuses(&["bad_field", "events_too_large"])
}

/// The answer to a command, with the events that the aggregate has.
fn answer(aggregate: &Aggregate, schemas: &mut Schemas) -> Value {
    let events = json!({
        "type": "object",
        "properties": { "events": { "type": "array", "items": aggregate.event } },
    });
    json!({ "allOf": [schemas.of::<Answer<'_>>(), events] })
}

fn batch(domain: &Domain, schemas: &mut Schemas) -> Operation {
    let envelopes: Vec<Value> = domain.aggregates.iter().map(envelope).collect();
    let envelope = schemas.add("Envelope", json!({ "type": "object", "oneOf": envelopes }));
    let done = schemas.of::<DoneLine<'_, OfLine>>();
    let problem = schemas.of::<ProblemLine<'_, OfLine>>();
    post("/commands", TAG, "Many commands, one a line")
        .says(
            "Each line of the body is an envelope, and each line of the answer, in the same \
             order, what became of it: its outcome or its problem. The schemas here are those of \
             one line. Lines of one aggregate are done in order.",
        )
        .takes(parameters::metadata())
        .takes_body(content(NDJSON, envelope), true)
        .answers(200, "One line each.", content(NDJSON, json!({ "anyOf": [done, problem] })), &[])
        .refuses(&["bad_header"])
}

fn envelope(aggregate: &Aggregate) -> Value {
    json!({
        "type": "object",
        "properties": {
            "aggregate": {
                "type": "object",
                "properties": {
                    "type": { "const": aggregate.name },
                    "id": parameters::key_schema(),
                },
                "required": ["type", "id"],
                "additionalProperties": false,
            },
            "command": aggregate.command,
            "key": parameters::command_id_schema(),
            "expected_version": {
                "description": "The version that the aggregate must have; 0: it must not exist.",
                "type": "integer",
                "format": "uint64",
            },
        },
        "required": ["aggregate", "command"],
        "additionalProperties": false,
    })
}
