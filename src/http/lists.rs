//! `GET /projections/{name}`: a page of views, as its parameters ask.
//!
//! `owner=ann`, `balance.gte=100`, `sort=-balance`, `limit=50`, `cursor=…`. A page is put together
//! from views as they are stored.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::Uri;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};

use crate::auth::Asked;
use crate::config::QueriesConfig;
use crate::read::{Comparison, Filter, ListQuery, Page, QueryError, Sort};

use super::headers::JSON;
use super::problem::Problem;
use super::queries::{NO_CACHE, add_positions};
use super::wait::Wait;
use super::{Door, entrance, extract, headers, streams};

/// Views of a page, unless a request says how many.
const LIMIT: usize = 50;

pub(super) async fn get(
    State(door): State<Arc<Door>>,
    request: Parts,
) -> Result<Response, Problem> {
    let name = extract::name(&request.uri)?;
    let headers = &request.headers;
    door.permit(entrance::caller(&request.extensions), Asked::Views(&name))?;
    if headers::wants_events(headers) {
        return streams::of_views(&door, &request, &name, None).await;
    }
    let query = query(&request.uri, &door.queries)?;
    headers::accept_json(headers)?;
    let wait = Wait::of(headers, &door.queries)?;
    let response = match door.views.page(&name, &query, &wait.after, wait.limit).await {
        Ok(found) => page(&found),
        Err(error) => Problem::from(error).into_response(),
    };
    Ok(wait.applied(response))
}

fn query(uri: &Uri, config: &QueriesConfig) -> Result<ListQuery, Problem> {
    let items_max = config.page_items_max;
    let (limit, bytes_max) = (LIMIT.min(items_max), config.page_bytes_max);
    let mut query = ListQuery { limit, bytes_max, ..ListQuery::default() };
    let mut seen = BTreeSet::new();
    for parameter in extract::parameters(uri) {
        let (name, value) = parameter?;
        if !seen.insert(name.clone()) {
            return Err(bad(&name, "given once".to_owned()));
        }
        match &*name {
            "limit" => {
                let limit = value.parse().ok().filter(|limit| (1..=items_max).contains(limit));
                let expected = || format!("a whole number from 1 to {items_max}");
                query.limit = limit.ok_or_else(|| bad(&name, expected()))?;
            }
            "cursor" => query.cursor = Some(value.into_owned()),
            "sort" => {
                let (field, descending) = match value.strip_prefix('-') {
                    Some(field) => (field, true),
                    None => (&*value, false),
                };
                query.sort = Some(Sort { field: field.to_owned(), descending });
            }
            _ => query.filters.push(filter(&name, &value)?),
        }
    }
    Ok(query)
}

/// `FIELD=VALUE` or `FIELD.COMPARISON=VALUE`.
fn filter(name: &str, value: &str) -> Result<Filter, Problem> {
    let (field, is) = match name.split_once('.') {
        None => (name, Comparison::Equal),
        Some((field, suffix)) => {
            let expected = || "a field, or a field with .lt, .lte, .gt, .gte or .null".to_owned();
            (field, Comparison::of_suffix(suffix).ok_or_else(|| bad(name, expected()))?)
        }
    };
    Ok(Filter { field: field.to_owned(), is, value: value.to_owned() })
}

fn bad(parameter: &str, expected: String) -> Problem {
    let parameter = parameter.chars().take(100).collect();
    QueryError::BadValue { parameter, expected }.into()
}

fn page(page: &Page) -> Response {
    let mut json = Vec::with_capacity(page.views.iter().map(|view| view.len() + 1).sum());
    json.extend(b"{\"items\":[");
    for (at, view) in page.views.iter().enumerate() {
        if at > 0 {
            json.push(b',');
        }
        json.extend(view);
    }
    json.extend(b"],\"next_cursor\":");
    match &page.next_cursor {
        // Hex digits only: nothing to escape.
        Some(cursor) => json.extend(format!("\"{cursor}\"}}").as_bytes()),
        None => json.extend(b"null}"),
    }
    let mut response = Response::new(Body::from(json));
    response.headers_mut().insert(CONTENT_TYPE, JSON);
    response.headers_mut().insert(CACHE_CONTROL, NO_CACHE);
    add_positions(&mut response, &page.positions);
    response
}
