//! `/health`: whether the process lives, and whether it can be used.
//!
//! Ready means that a command for any aggregate and a query to any projection can be answered.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use schemars::JsonSchema;
use serde::Serialize;

use crate::contract::Partition;
use crate::gate::{Gate, GateState};
use crate::ports::StoreError;
use crate::read::{LaneState, ProjectionInfo};
use crate::write::{Ownership, WriterStatus};

use super::problem::Problem;
use super::queries::json;
use super::{Door, extract};

/// How long the log and the store have to answer.
const PROBE_TIMEOUT: Duration = Duration::from_secs(2);

/// How often a starting node looks whether it can be used.
const READY_INTERVAL: Duration = Duration::from_millis(20);

/// Why a node cannot be used, in full.
///
/// ```
/// use retell::{app::App, gate::GateState};
///
/// # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let app = App::ephemeral().build().await?;
/// let door = app.door();
/// door.ready().await;
/// door.store_gate.set(GateState::Waiting("no answer".to_owned()));
/// let reason = door.not_ready().await.remove(0);
/// assert_eq!((reason.code, reason.detail.as_str()), ("views_unavailable", "no answer"));
/// # app.stop().await; Ok(()) }
/// ```
#[derive(Clone, Debug, Eq, JsonSchema, PartialEq, Serialize)]
pub struct Reason {
    /// Stable, in snake case.
    pub code: &'static str,
    /// What it is about, and what was said.
    pub detail: String,
}

#[derive(JsonSchema, Serialize)]
pub(super) struct Health {
    status: &'static str,
}

pub(super) async fn live(request: Request) -> Result<Response, Problem> {
    extract::no_parameters(request.uri())?;
    Ok(json(StatusCode::OK, &Health { status: "live" }))
}

pub(super) async fn ready(
    State(door): State<Arc<Door>>,
    request: Request,
) -> Result<Response, Problem> {
    extract::no_parameters(request.uri())?;
    match door.not_ready().await {
        reasons if reasons.is_empty() => Ok(json(StatusCode::OK, &Health { status: "ready" })),
        reasons => Err(Problem::NotReady(reasons)),
    }
}

impl Door {
    /// Why this node cannot be used now; nothing when it can.
    pub async fn not_ready(&self) -> Vec<Reason> {
        let (log, store) = tokio::join!(self.probe_log(), self.probe_store());
        let mut reasons: Vec<_> = log.into_iter().chain(store).collect();
        reasons.extend(of_writers(&self.commands.status()));
        reasons.extend(self.views.list().iter().flat_map(of_projection));
        reasons
    }

    /// Returns once the node can be used.
    pub async fn ready(&self) {
        while !self.not_ready().await.is_empty() {
            tokio::time::sleep(READY_INTERVAL).await;
        }
    }

    async fn probe_log(&self) -> Option<Reason> {
        if let Some(reason) = closed(&self.log_gate, "log_unavailable", "log_refused") {
            return Some(reason);
        }
        match tokio::time::timeout(PROBE_TIMEOUT, self.log.end(Partition(0))).await {
            Ok(Ok(_)) => None,
            Ok(Err(error)) => reason("log_unavailable", error.to_string()),
            Err(_) => silent("log_unavailable", "the log"),
        }
    }

    async fn probe_store(&self) -> Option<Reason> {
        if let Some(reason) = closed(&self.store_gate, "views_unavailable", "views_refused") {
            return Some(reason);
        }
        match tokio::time::timeout(PROBE_TIMEOUT, self.store.check()).await {
            Ok(Ok(())) => None,
            // Seen before the keeper of the gate has looked.
            Ok(Err(error @ StoreError::Settings(_))) => reason("views_refused", error.to_string()),
            Ok(Err(error)) => reason("views_unavailable", error.to_string()),
            Err(_) => silent("views_unavailable", "the view store"),
        }
    }
}

/// Why a port may not be used, if it may not.
fn closed(gate: &Gate, waiting: &'static str, refused: &'static str) -> Option<Reason> {
    match gate.state() {
        GateState::Open => None,
        GateState::Waiting(detail) => Some(Reason { code: waiting, detail }),
        GateState::Refused(detail) => Some(Reason { code: refused, detail }),
    }
}

fn reason(code: &'static str, detail: String) -> Option<Reason> {
    Some(Reason { code, detail })
}

fn silent(code: &'static str, port: &str) -> Option<Reason> {
    reason(code, format!("{port} does not answer within {PROBE_TIMEOUT:?}"))
}

fn of_writers(writers: &[WriterStatus]) -> Vec<Reason> {
    let lost = writers.iter().enumerate().filter(|(_, writer)| !writer.ownership.is_owner());
    let lost = lost.map(|(partition, writer)| (partition, &writer.ownership));
    grouped(lost.map(|(partition, ownership)| (partition, code(ownership), ownership.to_string())))
        .map(|(code, detail, partitions)| Reason {
            code,
            detail: format!("{partitions}: {detail}"),
        })
        .collect()
}

fn of_projection(info: &ProjectionInfo) -> Vec<Reason> {
    if info.paused {
        return Vec::new(); // its views stay as they are because somebody wants it so
    }
    if let (None, Some(detail)) = (info.generation, &info.newer_events) {
        let detail = format!("{}: {detail}", info.name);
        return vec![Reason { code: "newer_events", detail }];
    }
    if let (None, Some(detail)) = (info.generation, &info.too_many_parked) {
        let detail = format!("{}: {detail}", info.name);
        return vec![Reason { code: "too_many_parked", detail }];
    }
    if info.generation.is_none() {
        let detail = format!("{}: no generation is live yet", info.name);
        return vec![Reason { code: "no_live_generation", detail }];
    }
    let stuck = info.partitions.iter().filter_map(|lane| {
        let (code, detail) = stuck(&lane.state)?;
        Some((lane.partition.0 as usize, code, detail))
    });
    let name = info.name;
    grouped(stuck)
        .map(|(code, detail, partitions)| Reason {
            code,
            detail: format!("{name}, {partitions}: {detail}"),
        })
        .collect()
}

const fn code(ownership: &Ownership) -> &'static str {
    match ownership {
        Ownership::Recovering | Ownership::Claiming => "partition_starting",
        Ownership::Deposed { .. } => "partition_deposed",
        Ownership::Waiting { .. } => "log_unavailable",
        Ownership::WaitingForStates { .. } => "views_unavailable",
        Ownership::Refused { .. } => "log_refused",
        Ownership::Stopped => "shutting_down",
        Ownership::Owner { .. } => "owner",
    }
}

/// Why a lane of a live generation does not get on, if it does not.
fn stuck(state: &LaneState) -> Option<(&'static str, String)> {
    match state {
        LaneState::Waiting { reason } => Some(("views_waiting", reason.clone())),
        LaneState::NewerEvents { detail } => Some(("newer_events", detail.clone())),
        LaneState::TooManyParked { detail } => Some(("too_many_parked", detail.clone())),
        LaneState::Lost => {
            let detail = "the views are lost, a replay builds others".to_owned();
            Some(("views_lost", detail))
        }
        LaneState::Starting
        | LaneState::Building
        | LaneState::Comparing
        | LaneState::Built
        | LaneState::Following
        | LaneState::StandingBy
        | LaneState::Paused => None,
    }
}

/// Partitions with the same to say, in one line: there may be hundreds.
fn grouped(
    each: impl Iterator<Item = (usize, &'static str, String)>,
) -> impl Iterator<Item = (&'static str, String, String)> {
    let mut groups: BTreeMap<(&'static str, String), Vec<String>> = BTreeMap::new();
    for (partition, code, detail) in each {
        groups.entry((code, detail)).or_default().push(partition.to_string());
    }
    groups.into_iter().map(|((code, detail), partitions)| {
        let plural = if partitions.len() == 1 { "" } else { "s" };
        (code, detail, format!("partition{plural} {}", partitions.join(", ")))
    })
}
