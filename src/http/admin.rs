//! `GET /admin/status`: what the node says about itself.
//!
//! Numbers that need the log's answer are left out when it does not come; status always answers.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use futures_util::future::join_all;
use serde::Serialize;

use crate::contract::{Offset, Partition};
use crate::react::policies::PolicyStatus;
use crate::react::timer::TimerStatus;
use crate::write::WriterStatus;

use super::problem::Problem;
use super::queries::{self, Item, json};
use super::{Door, NodeInfo, Reason, extract, headers};

/// How long status waits for the log.
const END_TIMEOUT: Duration = Duration::from_secs(1);

#[derive(Serialize)]
struct Status<'a> {
    node: &'a NodeInfo,
    version: &'static str,
    ready: bool,
    reasons: Vec<Reason>,
    partitions: Vec<PartitionStatus>,
    projections: Vec<Item>,
    policies: Vec<PolicyStatus>,
    timer: TimerStatus,
}

#[derive(Serialize)]
struct PartitionStatus {
    partition: Partition,
    /// The offset after the last record, if the log said it in time.
    end: Option<Offset>,
    #[serde(flatten)]
    writer: WriterStatus,
}

pub(super) async fn status(
    State(door): State<Arc<Door>>,
    request: Request,
) -> Result<Response, Problem> {
    extract::no_parameters(request.uri())?;
    headers::accept_json(request.headers())?;
    let (reasons, partitions) = tokio::join!(door.not_ready(), partitions(&door));
    let status = Status {
        node: &door.node,
        version: env!("CARGO_PKG_VERSION"),
        ready: reasons.is_empty(),
        reasons,
        partitions,
        projections: queries::items(&door),
        policies: door.policies.list(),
        timer: door.timer.status(),
    };
    Ok(json(StatusCode::OK, &status))
}

async fn partitions(door: &Door) -> Vec<PartitionStatus> {
    let writers = door.commands.status();
    let ends = join_all(door.log.partitions().iter().map(|partition| async move {
        let end = tokio::time::timeout(END_TIMEOUT, door.log.end(partition)).await;
        (partition, end.ok().and_then(Result::ok))
    }));
    let all = ends.await.into_iter().zip(writers);
    all.map(|((partition, end), writer)| PartitionStatus { partition, end, writer }).collect()
}
