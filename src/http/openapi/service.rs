//! The operations by which a service tells of itself.

use serde_json::{Value, json};

use super::super::health::Health;
use super::super::index::Index;
use super::super::problem;
use super::domain::Domain;
use super::operation::{Operation, content, get};
use super::parameters;
use super::problems::CODES;
use super::schemas::Schemas;

const TAG: &str = "service";
const JSON: &str = "application/json";

pub(super) fn operations(_: &Domain, schemas: &mut Schemas) -> Vec<Operation> {
    let health = schemas.of::<Health>();
    let text = || json!({ "type": "string" });
    vec![
        get("/health/live", TAG, "Whether the process answers").answers_anybody().answers(
            200,
            "It does.",
            content(JSON, health.clone()),
            &[],
        ),
        get("/health/ready", TAG, "Whether every command and query can be answered")
            .answers_anybody()
            .answers(200, "They can.", content(JSON, health), &[])
            .refuses(&["not_ready"]),
        get("/metrics", TAG, "The numbers of this process, for Prometheus")
            .answers_anybody()
            .says("Where telemetry.metrics_enabled says so.")
            .answers(200, "The text form of Prometheus.", content("text/plain", text()), &[])
            .refuses(&["no_such_route"]),
        get("/", TAG, "The routes").answers(
            200,
            "Each route.",
            content(JSON, schemas.of::<Index>()),
            &[],
        ),
        get("/openapi.json", TAG, "This document")
            .takes([parameters::none_match()])
            .answers(200, "OpenAPI 3.1.", content(JSON, json!({ "type": "object" })), &["ETag"])
            .answers(304, "The client has it.", Value::Null, &["ETag"]),
        get("/docs", TAG, "This document for people")
            .answers_anybody()
            .takes([parameters::none_match()])
            .answers(200, "A page.", content("text/html", text()), &["ETag"])
            .answers(304, "The client has it.", Value::Null, &["ETag"]),
        get("/docs/style.css", TAG, "The look of the page")
            .answers_anybody()
            .takes([parameters::none_match()])
            .answers(200, "A stylesheet.", content("text/css", text()), &["ETag"])
            .answers(304, "The client has it.", Value::Null, &["ETag"]),
    ]
}

/// The document of a problem, with every code of our own.
pub(super) fn problem(schemas: &mut Schemas) {
    schemas.of::<problem::Document<'_>>();
    let codes: Vec<&str> = CODES.iter().map(|(_, code)| *code).collect();
    let known = json!({ "description": "A code of Retell's own.", "enum": codes });
    schemas.add("ProblemCode", known);
}
