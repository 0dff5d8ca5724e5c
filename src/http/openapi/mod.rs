//! `GET /openapi.json` and `GET /docs`: what the door takes and answers, as OpenAPI 3.1 and as a
//! page for people.
//!
//! The document is made when the router is, from the types that are read and answered and from
//! what the application registered; so it is that of this binary (docs/adr/0029).

mod commands;
mod domain;
mod log;
mod operation;
mod operations;
mod page;
mod parameters;
mod problems;
mod queries;
mod schemas;
mod service;

use axum::Extension;
use axum::body::Body;
use axum::extract::Request;
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde_json::{Map, Value, json};

use crate::events::Fingerprint;

use super::headers::JSON;
use super::problem::Problem;
use super::queries::NO_CACHE;
use super::{Door, extract, headers};
use domain::Domain;
use operation::Operation;
use schemas::Schemas;

const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");
const CSS: HeaderValue = HeaderValue::from_static("text/css; charset=utf-8");

/// The page has one stylesheet of its own, and nothing else.
const PAGE_POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; \
     frame-ancestors 'none'",
);

/// The document and its page, made once.
#[derive(Clone)]
pub(super) struct Document {
    json: Bytes,
    html: Bytes,
}

impl Document {
    pub(super) fn of(door: &Door) -> Self {
        let document = document(door);
        let json = serde_json::to_vec(&document).expect("a document has string keys only");
        Self { json: json.into(), html: page::render(&document).into() }
    }
}

/// `GET /openapi.json`
pub(super) async fn get(
    Extension(document): Extension<Document>,
    request: Request,
) -> Result<Response, Problem> {
    extract::no_parameters(request.uri())?;
    headers::accept_json(request.headers())?;
    Ok(unless_known(request.headers(), JSON, document.json))
}

/// `GET /docs`
pub(super) async fn docs(
    Extension(document): Extension<Document>,
    request: Request,
) -> Result<Response, Problem> {
    extract::no_parameters(request.uri())?;
    let mut response = unless_known(request.headers(), HTML, document.html);
    response.headers_mut().insert(CONTENT_SECURITY_POLICY, PAGE_POLICY);
    Ok(response)
}

/// `GET /docs/style.css`
pub(super) async fn style(request: Request) -> Result<Response, Problem> {
    extract::no_parameters(request.uri())?;
    Ok(unless_known(request.headers(), CSS, Bytes::from_static(page::STYLE.as_bytes())))
}

/// The content, or 304 to who has it.
fn unless_known(asked: &HeaderMap, media: HeaderValue, content: Bytes) -> Response {
    let etag = format!("\"{}\"", Fingerprint::of(&content));
    let mut response = if headers::none_match(asked, &etag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        let mut response = Response::new(Body::from(content));
        response.headers_mut().insert(CONTENT_TYPE, media);
        response
    };
    response.headers_mut().insert(ETAG, headers::value(etag));
    response.headers_mut().insert(CACHE_CONTROL, NO_CACHE);
    response
}

fn document(door: &Door) -> Value {
    let mut schemas = Schemas::default();
    service::problem(&mut schemas);
    let domain = Domain::of(door, &mut schemas);
    let mut paths: Map<String, Value> = Map::new();
    for operation in operations(door, &domain, &mut schemas) {
        let path = paths.entry(operation.path()).or_insert_with(|| json!({}));
        let method = operation.method();
        path[method] = operation.into_content(door.authority.asks());
    }
    let url = match door.http.base_path.trim_end_matches('/') {
        "" => "/",
        path => path,
    };
    let mut document = json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Retell",
            "description": INTRODUCTION,
            "version": env!("CARGO_PKG_VERSION"),
        },
        "servers": [{"url": url}],
        "tags": TAGS.map(|(name, description)| json!({"name": name, "description": description})),
        "paths": paths,
        "components": {
            "schemas": schemas.into_components(),
            "headers": parameters::response_headers(),
        },
    });
    if door.authority.asks() {
        document["components"]["securitySchemes"] = json!({
            "bearer": {
                "type": "http",
                "scheme": "bearer",
                "description": "An API key, or a token (JWT) of the service's issuer.",
            },
        });
    }
    schemas::bound_integers(&mut document);
    document
}

/// Every operation, in the order of the route table.
fn operations(door: &Door, domain: &Domain, schemas: &mut Schemas) -> Vec<Operation> {
    let mut all = commands::operations(domain, schemas);
    all.extend(queries::operations(door, domain, schemas));
    all.extend(log::operations(door, domain, schemas));
    all.extend(operations::operations(domain, schemas));
    all.extend(service::operations(domain, schemas));
    all
}

const INTRODUCTION: &str = "Commands in, events in the log, views out. Every error is a problem \
    document (RFC 9457) whose `code` is stable. A route that takes the name of an aggregate type \
    or of a projection stands here once for each that this service has, with its schemas.";

const TAGS: [(&str, &str); 5] = [
    ("commands", "Change an aggregate."),
    ("projections", "Read views."),
    ("log", "Look at aggregates, events and what caused them."),
    ("admin", "Operate the service."),
    ("service", "What the service says about itself."),
];
