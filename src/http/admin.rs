//! `GET /admin/status`: what the node says about itself.
//!
//! Numbers that need the log's answer are left out when it does not come; status always answers.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use futures_util::future::join_all;
use schemars::JsonSchema;
use serde::Serialize;

use crate::contract::{Offset, Partition};
use crate::react::inbox::InboxStatus;
use crate::react::outbox::{Outbox, RelayStatus};
use crate::react::policies::PolicyStatus;
use crate::react::timer::TimerStatus;
use crate::write::{OwnerNode, Ownership, WriterStatus};

use super::problem::Problem;
use super::queries::{self, Item, json};
use super::{Door, NodeInfo, Reason, extract, headers};

/// How long status waits for the log.
const END_TIMEOUT: Duration = Duration::from_secs(1);

#[derive(JsonSchema, Serialize)]
#[schemars(rename = "Status")]
pub(super) struct Status<'a> {
    node: &'a NodeInfo,
    version: &'static str,
    ready: bool,
    reasons: Vec<Reason>,
    partitions: Vec<PartitionStatus>,
    projections: Vec<Item>,
    /// None where this node takes no commands from a topic.
    inbox: Option<InboxReport<'a>>,
    /// None where this node publishes nothing.
    outbox: Option<OutboxStatus<'a>>,
    policies: Vec<PolicyStatus>,
    timer: TimerStatus,
}

#[derive(JsonSchema, Serialize)]
pub(super) struct InboxReport<'a> {
    topic: &'a str,
    results: &'a str,
    group: &'a str,
    #[serde(flatten)]
    pub(super) status: InboxStatus,
    pub(super) partitions: Vec<Taken>,
}

#[derive(JsonSchema, Serialize)]
#[schemars(rename = "InboxPartition")]
pub(super) struct Taken {
    /// Of the inbox's topic.
    pub(super) partition: Partition,
    /// The first message that is not done.
    next: Offset,
    /// Messages that are not done, if the topic said it in time.
    pub(super) lag: Option<u64>,
}

#[derive(JsonSchema, Serialize)]
struct OutboxStatus<'a> {
    topic: &'a str,
    partitions: Vec<Relayed>,
}

#[derive(JsonSchema, Serialize)]
#[schemars(rename = "OutboxPartition")]
struct Relayed {
    #[serde(flatten)]
    relay: RelayStatus,
    /// Records of the log that it has not read.
    lag: Option<u64>,
}

#[derive(JsonSchema, Serialize)]
struct PartitionStatus {
    partition: Partition,
    /// Who decides its commands, as far as this node knows.
    owner: Option<OwnerNode>,
    /// The offset after the last record, if the log said it in time.
    end: Option<Offset>,
    /// Records that the projection furthest behind had still to fold, each 5 seconds of the last
    /// minutes, the newest last.
    recent_lag: Vec<u64>,
    #[serde(flatten)]
    writer: WriterStatus,
}

pub(super) async fn status(
    State(door): State<Arc<Door>>,
    request: Request,
) -> Result<Response, Problem> {
    extract::no_parameters(request.uri())?;
    headers::accept_json(request.headers())?;
    let (reasons, partitions, inbox) =
        tokio::join!(door.not_ready(), partitions(&door), inbox(&door));
    let outbox = door.outbox.as_ref().map(|outbox| OutboxStatus::of(outbox, &partitions));
    let status = Status {
        node: &door.node,
        version: env!("CARGO_PKG_VERSION"),
        ready: reasons.is_empty(),
        reasons,
        partitions,
        projections: queries::items(&door),
        inbox,
        outbox,
        policies: door.policies.list(),
        timer: door.timer.status(),
    };
    Ok(json(StatusCode::OK, &status))
}

impl<'a> OutboxStatus<'a> {
    fn of(outbox: &'a Outbox, partitions: &[PartitionStatus]) -> Self {
        let relayed = |(relay, of): (RelayStatus, &PartitionStatus)| {
            let lag = of.end.zip(relay.next).map(|(end, next)| end.0.saturating_sub(next.0));
            Relayed { relay, lag }
        };
        let partitions = outbox.status().into_iter().zip(partitions).map(relayed).collect();
        Self { topic: outbox.topic(), partitions }
    }
}

pub(super) async fn inbox(door: &Door) -> Option<InboxReport<'_>> {
    let inbox = door.inbox.as_ref()?;
    let status = inbox.status();
    let partitions = join_all(status.next.iter().map(|(&partition, &next)| async move {
        let span = tokio::time::timeout(END_TIMEOUT, inbox.topic().span(partition)).await;
        let lag = span.ok().and_then(Result::ok).map(|span| span.end.0.saturating_sub(next.0));
        Taken { partition, next, lag }
    }));
    let (partitions, topic) = (partitions.await, inbox.topic().name());
    Some(InboxReport { topic, results: inbox.results(), group: inbox.group(), status, partitions })
}

async fn partitions(door: &Door) -> Vec<PartitionStatus> {
    let writers = door.commands.status();
    let ends = join_all(door.log.partitions().iter().map(|partition| async move {
        let end = tokio::time::timeout(END_TIMEOUT, door.log.end(partition)).await;
        (partition, end.ok().and_then(Result::ok))
    }));
    let all = ends.await.into_iter().zip(writers);
    all.map(|((partition, end), writer)| PartitionStatus {
        partition,
        owner: owner(door, &writer.ownership),
        end,
        recent_lag: door.views.recent_lag(partition),
        writer,
    })
    .collect()
}

fn owner(door: &Door, ownership: &Ownership) -> Option<OwnerNode> {
    match ownership {
        Ownership::Owner { .. } => {
            let NodeInfo { id, address, .. } = &door.node;
            Some(OwnerNode { node: id.clone(), address: address.clone() })
        }
        Ownership::Deposed { owner, .. } => owner.clone(),
        _ => None,
    }
}
