//! Events and records as answers show them: the one shape, wherever they are read from.

use std::borrow::Cow;
use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::contract::{Partition, Position, Refusal, Time, Version};
use crate::events::{AggregateRef, Claim, Commit};
use crate::read::{LogItem, RecordKind};

/// An event of an answer.
#[derive(Debug, JsonSchema, Serialize)]
#[schemars(rename = "Event")]
pub(super) struct EventItem<'a> {
    pub(super) id: Uuid,
    #[serde(rename = "type")]
    pub(super) event_type: &'a str,
    pub(super) version: Version,
    pub(super) time: Time,
    pub(super) data: &'a RawValue,
}

/// What the record of an event says about its command.
#[derive(Debug, JsonSchema, Serialize)]
#[schemars(rename = "Command")]
pub(super) struct CommandItem<'a> {
    command: &'a str,
    command_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    correlation_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    causation_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    actor: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    traceparent: Option<&'a str>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    metadata: &'a BTreeMap<String, String>,
}

/// A record of the log.
#[derive(Debug, JsonSchema, Serialize)]
#[schemars(rename = "Record")]
pub(super) struct RecordItem<'a> {
    position: Position,
    /// When the log took it.
    time: Time,
    mark: &'static str,
    /// Why it does not count.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    term: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    chain: Option<u64>,
    #[serde(flatten)]
    content: Content<'a>,
}

#[derive(Debug, JsonSchema, Serialize)]
#[serde(untagged)]
#[schemars(inline)]
enum Content<'a> {
    Commit(CommitItem<'a>),
    Claim(ClaimItem<'a>),
    /// What cannot be read, or is not ours.
    Other {
        #[serde(skip_serializing_if = "Option::is_none")]
        key: Option<Cow<'a, str>>,
        value_bytes: usize,
        #[serde(skip_serializing_if = "Option::is_none")]
        unreadable: Option<String>,
    },
}

#[derive(Debug, JsonSchema, Serialize)]
#[schemars(rename = "Commit")]
struct CommitItem<'a> {
    aggregate: &'a AggregateRef<'a>,
    /// The aggregate's version after it.
    version: Version,
    #[serde(flatten)]
    command: CommandItem<'a>,
    events: Vec<EventItem<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refused: Option<&'a Refusal>,
}

/// A writer's claim to a partition.
#[derive(Debug, JsonSchema, Serialize)]
#[schemars(rename = "Claim")]
struct ClaimItem<'a> {
    /// New for every attempt.
    claim_id: Uuid,
    /// The node's name.
    node: &'a str,
    /// New for every process.
    instance: Uuid,
    /// Where other nodes reach it.
    address: &'a str,
    /// The partition count that the log was made with.
    partitions: u32,
    /// The hash that spreads aggregates over partitions.
    hash: &'a str,
    /// When it was claimed, by the writer's clock.
    claimed_at: Time,
    /// The policies that the process runs.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    policies: &'a [String],
}

/// A record's value, as far as it can be read.
#[derive(Debug)]
pub(super) enum Value<'a> {
    Commit(Box<Commit<'a>>),
    Claim(Claim),
    Other(Option<String>),
}

/// The events of a commit, each with its version.
pub(super) fn events<'a>(commit: &'a Commit<'_>) -> impl Iterator<Item = EventItem<'a>> {
    commit.events.iter().enumerate().map(|(nth, event)| EventItem {
        id: event.id,
        event_type: &event.event_type,
        version: commit.first_version.plus(nth),
        time: commit.time,
        data: &event.data,
    })
}

impl<'a> CommandItem<'a> {
    pub(super) fn of(commit: &'a Commit<'_>) -> Self {
        Self {
            command: &commit.command,
            command_id: &commit.command_id,
            correlation_id: commit.correlation_id.as_deref(),
            causation_id: commit.causation_id.as_deref(),
            actor: commit.actor.as_deref(),
            traceparent: commit.traceparent.as_deref(),
            metadata: &commit.metadata,
        }
    }
}

impl<'a> Value<'a> {
    pub(super) fn read(item: &'a LogItem) -> Self {
        let value = &item.record.value;
        match item.kind() {
            RecordKind::Commit => match Commit::decode(value) {
                Ok(commit) => Self::Commit(Box::new(commit)),
                Err(error) => Self::Other(Some(error.to_string())),
            },
            RecordKind::Claim => match Claim::decode(value) {
                Ok(claim) => Self::Claim(claim),
                Err(error) => Self::Other(Some(error.to_string())),
            },
            RecordKind::Foreign => Self::Other(None),
        }
    }
}

impl<'a> RecordItem<'a> {
    pub(super) fn of(partition: Partition, item: &'a LogItem, value: &'a Value<'a>) -> Self {
        let record = &item.record;
        let content = match value {
            Value::Commit(commit) => Content::Commit(CommitItem::of(commit)),
            Value::Claim(claim) => Content::Claim(ClaimItem::of(claim)),
            Value::Other(unreadable) => Content::Other {
                key: record.key.as_ref().map(|key| String::from_utf8_lossy(key)),
                value_bytes: record.value.len(),
                unreadable: unreadable.clone(),
            },
        };
        Self {
            position: Position { partition, offset: record.offset },
            time: record.time,
            mark: item.mark(),
            reason: item.reason(),
            term: item.term(),
            chain: item.chain(),
            content,
        }
    }
}

impl<'a> ClaimItem<'a> {
    /// Without the version of the stored form, which is no matter of who reads an answer.
    fn of(claim: &'a Claim) -> Self {
        Self {
            claim_id: claim.claim_id,
            node: &claim.node,
            instance: claim.instance,
            address: &claim.address,
            partitions: claim.partitions,
            hash: &claim.hash,
            claimed_at: claim.time,
            policies: &claim.policies,
        }
    }
}

impl<'a> CommitItem<'a> {
    fn of(commit: &'a Commit<'_>) -> Self {
        Self {
            aggregate: &commit.aggregate,
            version: commit.last_version(),
            command: CommandItem::of(commit),
            events: events(commit).collect(),
            refused: commit.refused.as_ref(),
        }
    }
}
