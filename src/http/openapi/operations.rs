//! The operations of `/admin`.

use serde_json::{Value, json};

use crate::read::{ParkedSequence, ReplayStatus, Retried, VerificationStatus};

use super::super::admin::Status;
use super::super::me::Me;
use super::super::queries::Item;
use super::super::{jobs, parked, policies, replays, verifications};
use super::domain::Domain;
use super::operation::{Operation, content, delete, get, post};
use super::parameters::path;
use super::schemas::{Schemas, body};
use super::{parameters, problems};

const TAG: &str = "admin";
const JSON: &str = "application/json";

pub(super) fn operations(domain: &Domain, schemas: &mut Schemas) -> Vec<Operation> {
    let mut all = replays(domain, schemas);
    all.extend(verifications(domain, schemas));
    all.extend(of_projections(domain, schemas));
    all.extend(of_parked(schemas));
    all.push(begin(domain, schemas));
    all.push(get("/admin/status", TAG, "What the node says about itself").answers(
        200,
        "Its partitions, projections, policies, and what is in the way.",
        content(JSON, schemas.of::<Status<'_>>()),
        &[],
    ));
    all.push(get("/admin/me", TAG, "Who the caller is").answers(
        200,
        "Its name and roles.",
        content(JSON, schemas.of::<Me<'_>>()),
        &[],
    ));
    all
}

const WATCHED: &str = "With `Accept: text/event-stream`: the same at every change, as the event \
    `status`, until the last.";

fn replays(domain: &Domain, schemas: &mut Schemas) -> Vec<Operation> {
    let id = || path("id", parameters::uuid(), "The replay's id.");
    let (one, many) = (schemas.of::<ReplayStatus>(), schemas.of::<jobs::List<ReplayStatus>>());
    let asked = of_projection(body::<replays::Asked>(), domain);
    vec![
        get("/admin/replays", TAG, "The latest replays").answers(
            200,
            "The newest first.",
            content(JSON, many),
            &[],
        ),
        post("/admin/replays", TAG, "Build views again beside the live ones")
            .says("Without a body, or without a projection: all of them.")
            .takes_body(content(JSON, asked), false)
            .answers(202, "It has begun.", content(JSON, one.clone()), &["Location"])
            .refuses(&["bad_body", "unknown_projection", "replay_running"]),
        get("/admin/replays/{id}", TAG, "How a replay stands")
            .says(WATCHED)
            .takes([id()])
            .answers(200, "How it stands.", or_events(one.clone()), &[])
            .refuses(&["bad_id", "unknown_replay"]),
        delete("/admin/replays/{id}", TAG, "Cancel a replay")
            .takes([id()])
            .answers(200, "As it was.", content(JSON, one.clone()), &[])
            .refuses(&["bad_id", "unknown_replay"]),
        post("/admin/replays/{id}/flip", TAG, "Make live what differs")
            .takes([id()])
            .answers(200, "As it was.", content(JSON, one), &[])
            .refuses(&["bad_id", "unknown_replay", "not_waiting"]),
    ]
}

fn verifications(domain: &Domain, schemas: &mut Schemas) -> Vec<Operation> {
    let id = || path("id", parameters::uuid(), "The verification's id.");
    let one = schemas.of::<VerificationStatus>();
    let many = schemas.of::<jobs::List<VerificationStatus>>();
    let asked = of_projection(body::<verifications::Asked>(), domain);
    vec![
        get("/admin/verifications", TAG, "The latest verifications").answers(
            200,
            "The newest first.",
            content(JSON, many),
            &[],
        ),
        post("/admin/verifications", TAG, "Compare live views with the log")
            .says("Without a body, or without a projection: all of them.")
            .takes_body(content(JSON, asked), false)
            .answers(202, "It has begun.", content(JSON, one.clone()), &["Location"])
            .refuses(&["bad_body", "unknown_projection", "verification_running"]),
        get("/admin/verifications/{id}", TAG, "How a verification stands")
            .says(WATCHED)
            .takes([id()])
            .answers(200, "How it stands.", or_events(one.clone()), &[])
            .refuses(&["bad_id", "unknown_verification"]),
        delete("/admin/verifications/{id}", TAG, "Cancel a verification")
            .takes([id()])
            .answers(200, "As it was.", content(JSON, one), &[])
            .refuses(&["bad_id", "unknown_verification"]),
    ]
}

fn of_projections(domain: &Domain, schemas: &mut Schemas) -> [Operation; 3] {
    let name = || path("name", parameters::one_of(&domain.folded), "Which projection.");
    let item = schemas.of::<Item>();
    [
        post("/admin/projections/{name}/pause", TAG, "Fold a projection no more, on no node"),
        post("/admin/projections/{name}/resume", TAG, "Go on where it stood"),
        post("/admin/projections/{name}/rollback", TAG, "Make the generation before live again")
            .refuses(&["nothing_before"]),
    ]
    .map(|operation| {
        operation
            .takes([name()])
            .answers(200, "The projection as it stands now.", content(JSON, item.clone()), &[])
            .refuses(problems::STORE)
            .refuses(&["bad_id", "unknown_projection", "busy"])
    })
}

fn of_parked(schemas: &mut Schemas) -> [Operation; 3] {
    let id = || {
        let schema = json!({ "type": "string", "pattern": "^[0-9a-fA-F]{32}$" });
        path("id", schema, "The id of what is held back.")
    };
    let (list, one) = (schemas.of::<parked::List>(), schemas.of::<ParkedSequence>());
    let retried = schemas.of::<Retried>();
    let mend = |operation: Operation| {
        operation
            .takes([id()])
            .says("Takes no body.")
            .refuses(problems::STORE)
            .refuses(&["bad_id", "bad_body", "unknown_parked", "needs_replay", "still_parked"])
            .refuses(&["not_folded_here", "partition_busy", "log_unavailable"])
            .refuses(&["body_too_large", "body_too_slow", "body_broken"])
    };
    [
        get("/admin/parked", TAG, "What projections and policies hold back").answers(
            200,
            "All of it.",
            content(JSON, list),
            &[],
        ),
        mend(post("/admin/parked/{id}/retry", TAG, "Try what is held back again").answers(
            200,
            "What became of it.",
            content(JSON, retried),
            &[],
        )),
        mend(post("/admin/parked/{id}/discard", TAG, "Give up what is held back").answers(
            200,
            "As it is now.",
            content(JSON, one),
            &[],
        )),
    ]
}

fn begin(domain: &Domain, schemas: &mut Schemas) -> Operation {
    let name = path("name", parameters::one_of(&domain.policies), "Which policy.");
    let mut asked = body::<policies::Asked>();
    asked["properties"]["from"] = json!({ "enum": ["beginning", "now"] });
    asked["required"] = json!(["from"]);
    post("/admin/policies/{name}/begin", TAG, "Where a policy goes on whose place is lost")
        .takes([name])
        .takes_body(content(JSON, asked), true)
        .answers(
            200,
            "In how many partitions.",
            content(JSON, schemas.of::<policies::Begun>()),
            &[],
        )
        .refuses(&["bad_id", "bad_body", "unknown_policy"])
}

/// The body of a job: its projection is one that there is.
fn of_projection(mut asked: Value, domain: &Domain) -> Value {
    let mut names: Vec<Value> = domain.folded.iter().copied().map(Value::from).collect();
    names.push(Value::Null);
    asked["properties"]["projection"] = json!({ "enum": names });
    asked
}

fn or_events(schema: Value) -> Value {
    json!({
        JSON: { "schema": schema },
        "text/event-stream": { "schema": { "type": "string" } },
    })
}
