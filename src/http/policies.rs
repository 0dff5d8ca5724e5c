//! `/admin/policies/{name}/begin`: where a policy goes on whose place is lost.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::contract::Start;

use super::problem::Problem;
use super::queries::json;
use super::{Door, extract, jobs};

#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "BeginPolicy")]
pub(super) struct Asked {
    from: Option<From>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "BeginFrom")]
enum From {
    Beginning,
    Now,
}

#[derive(JsonSchema, Serialize)]
#[schemars(rename = "PolicyBegun")]
pub(super) struct Begun {
    /// In how many partitions its place was lost.
    partitions: usize,
}

pub(super) async fn begin(
    State(door): State<Arc<Door>>,
    request: Request,
) -> Result<Response, Problem> {
    let name = extract::name_before_last(request.uri())?.into_owned();
    let from = match jobs::asked::<Asked>(&door, request).await?.from {
        Some(From::Beginning) => Start::Beginning,
        Some(From::Now) => Start::New,
        None => {
            let wanted = "expected {\"from\":\"now\"} or {\"from\":\"beginning\"}";
            return Err(Problem::BadBody(wanted.to_owned()));
        }
    };
    match door.policies.begin(&name, from) {
        Some(partitions) => Ok(json(StatusCode::OK, &Begun { partitions })),
        None => Err(Problem::UnknownPolicy(name)),
    }
}
