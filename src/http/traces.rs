//! `GET /traces/{correlation_id}`: what a correlation consists of, as the tree of what caused what.
//!
//! The tree is a list: each record after the one that caused it, one deeper than that. So it has
//! no depth at which a reader fails.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::auth::Asked;
use crate::contract::{Partition, Position, Time};
use crate::events::Commit;
use crate::read::{LogItem, TraceBy};

use super::aggregates::in_time;
use super::events::raw;
use super::problem::Problem;
use super::queries::{add_positions, json};
use super::records::RecordItem;
use super::wait::Wait;
use super::{Door, entrance, extract, headers};

#[derive(JsonSchema, Serialize)]
#[schemars(rename = "Trace")]
pub(super) struct Tree<'a> {
    correlation_id: &'a str,
    items: Vec<Branch>,
    /// How many records are not here.
    more: u64,
}

/// A record, and where in the tree it is.
#[derive(JsonSchema, Serialize)]
#[schemars(rename = "TraceBranch")]
pub(super) struct Branch {
    depth: usize,
    /// The record that caused it, if it is one of these.
    caused_by: Option<Position>,
    #[schemars(with = "RecordItem<'_>")]
    record: Box<RawValue>,
}

/// What the tree is made of.
struct Node {
    position: Position,
    time: Time,
    causation_id: Option<String>,
    /// The ids by which others name it as their cause.
    names: Vec<String>,
}

/// Where a node stands: which, how deep, and below which.
#[derive(Debug, Eq, PartialEq)]
struct Stand {
    node: usize,
    depth: usize,
    cause: Option<usize>,
}

pub(super) async fn get(
    State(door): State<Arc<Door>>,
    request: Request,
) -> Result<Response, Problem> {
    extract::no_parameters(request.uri())?;
    let id = extract::last_decoded(request.uri(), "correlation id")?;
    door.permit(entrance::caller(request.extensions()), Asked::Log)?;
    headers::accept_json(request.headers())?;
    let wait = Wait::of(request.headers(), &door.queries)?;
    let limit = door.history.page_len_max;
    let (by, after) = (TraceBy::Correlation, &wait.after);
    let traced =
        in_time(&door, async { Ok(door.views.trace(by, &id, limit, after, wait.limit).await?) });
    let traced = traced.await?;
    let mut nodes: Vec<(Node, LogItem)> = traced.records.into_iter().filter_map(node).collect();
    nodes.sort_by_key(|(node, _)| (node.time, node.position));
    let (nodes, records): (Vec<Node>, Vec<LogItem>) = nodes.into_iter().unzip();
    let branch = |Stand { node, depth, cause }: Stand| Branch {
        depth,
        caused_by: cause.map(|cause| nodes[cause].position),
        record: raw(nodes[node].position.partition, &records[node]),
    };
    let items = tree(&nodes).into_iter().map(branch).collect();
    let tree = Tree { correlation_id: &id, items, more: traced.more };
    let mut response = json(StatusCode::OK, &tree);
    add_positions(&mut response, &traced.positions);
    Ok(wait.applied(response))
}

fn node((partition, item): (Partition, LogItem)) -> Option<(Node, LogItem)> {
    let node = {
        let commit = Commit::decode(&item.record.value).ok()?;
        let events = commit.events.iter().map(|event| event.id.to_string());
        Node {
            position: Position { partition, offset: item.record.offset },
            time: commit.time,
            names: std::iter::once(commit.command_id.to_string()).chain(events).collect(),
            causation_id: commit.causation_id.as_ref().map(ToString::to_string),
        }
    };
    Some((node, item))
}

/// Depth first; of two with one cause the earlier before the later, as the nodes are given.
fn tree(nodes: &[Node]) -> Vec<Stand> {
    let mut known: HashMap<&str, usize> = HashMap::new();
    for (at, node) in nodes.iter().enumerate() {
        for name in &node.names {
            known.entry(name).or_insert(at);
        }
    }
    let cause_of = |node: &Node| known.get(node.causation_id.as_deref()?).copied();
    let causes: Vec<Option<usize>> = nodes.iter().map(cause_of).collect();
    let mut children = vec![Vec::new(); nodes.len()];
    for (at, cause) in causes.iter().enumerate() {
        cause.iter().for_each(|&cause| children[cause].push(at));
    }
    let mut placed = vec![false; nodes.len()];
    let mut stands = Vec::with_capacity(nodes.len());
    // Ids that clients chose may make a circle: the earliest of it is its beginning then.
    let roots = (0..nodes.len()).filter(|&at| causes[at].is_none()).chain(0..nodes.len());
    for root in roots {
        let mut waiting = vec![Stand { node: root, depth: 0, cause: None }];
        while let Some(stand) = waiting.pop() {
            let (at, depth) = (stand.node, stand.depth + 1);
            if !std::mem::replace(&mut placed[at], true) {
                stands.push(stand);
                let below = |&node: &usize| Stand { node, depth, cause: Some(at) };
                waiting.extend(children[at].iter().rev().map(below));
            }
        }
    }
    stands
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::Offset;

    fn node(offset: u64, cause: Option<&str>, names: &[&str]) -> Node {
        Node {
            position: Position { partition: Partition(0), offset: Offset(offset) },
            time: Time::default(),
            causation_id: cause.map(str::to_owned),
            names: names.iter().map(ToString::to_string).collect(),
        }
    }

    fn shape(nodes: &[Node]) -> Vec<(usize, usize, Option<usize>)> {
        tree(nodes).into_iter().map(|it| (it.node, it.depth, it.cause)).collect()
    }

    #[test]
    fn what_was_caused_stands_below_its_cause() {
        let nodes = [
            node(0, None, &["a", "a-event"]),
            node(1, Some("elsewhere"), &["b"]),
            node(2, Some("a-event"), &["c"]),
            node(3, Some("c"), &["d"]),
            node(4, Some("a"), &["e"]),
        ];
        let wanted =
            [(0, 0, None), (2, 1, Some(0)), (3, 2, Some(2)), (4, 1, Some(0)), (1, 0, None)];
        assert_eq!(shape(&nodes), wanted);
    }

    #[test]
    fn a_circle_has_a_beginning_and_ends() {
        let nodes =
            [node(0, Some("b"), &["a"]), node(1, Some("a"), &["b"]), node(2, Some("c"), &["c"])];
        assert_eq!(shape(&nodes), [(0, 0, None), (1, 1, Some(0)), (2, 0, None)]);
    }
}
