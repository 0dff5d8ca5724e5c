//! `retell status`: how a running service stands, for people or as the service says it.

use indicatif::HumanCount;
use serde::Deserialize;

use super::service::Service;
use super::table::table;
use super::{Outcome, say};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Print what the service says as it is
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    service: Service,
}

/// What `GET /admin/status` says, as far as it is shown. Unknown members are a newer service's.
#[derive(Deserialize)]
struct Status {
    node: Node,
    version: String,
    reasons: Vec<Reason>,
    partitions: Vec<Partition>,
    projections: Vec<Projection>,
    #[serde(default)]
    inbox: Option<Inbox>,
    #[serde(default)]
    outbox: Option<Outbox>,
    #[serde(default)]
    policies: Vec<Policy>,
    timer: Option<Timer>,
}

#[derive(Deserialize)]
struct Policy {
    name: String,
    partitions: Vec<PolicyPartition>,
}

#[derive(Deserialize)]
struct PolicyPartition {
    partition: u32,
    state: String,
    next: u64,
    parked: u64,
    reason: Option<String>,
    detail: Option<String>,
}

#[derive(Deserialize)]
struct Timer {
    enabled: bool,
    interval_ms: u64,
    last: Option<String>,
    problem: Option<String>,
}

#[derive(Deserialize)]
struct Node {
    id: String,
    address: String,
}

#[derive(Deserialize)]
struct Reason {
    code: String,
    detail: String,
}

#[derive(Deserialize)]
struct Partition {
    partition: u32,
    owner: Option<Owner>,
    end: Option<u64>,
    state: String,
    #[serde(default)]
    term: Option<u64>,
    records: Records,
    aggregates: u64,
    hits: u64,
    misses: u64,
    stored: u64,
    behind: u64,
    outcomes: u64,
    problem: Option<String>,
    alarms: u64,
}

#[derive(Deserialize)]
struct Owner {
    node: String,
    address: String,
}

#[derive(Deserialize)]
struct Records {
    void: u64,
    foreign: u64,
}

#[derive(Deserialize)]
struct Projection {
    name: String,
    revision: u32,
    state: String,
    generation: Option<String>,
    lag: u64,
    #[serde(default)]
    lag_seconds: f64,
    parked: u64,
}

#[derive(Deserialize)]
struct Inbox {
    topic: String,
    state: String,
    reason: Option<String>,
    in_flight: u64,
    answered: u64,
    problems: u64,
    repeated: u64,
    partitions: Vec<Lag>,
}

#[derive(Deserialize)]
struct Outbox {
    topic: String,
    partitions: Vec<Relay>,
}

#[derive(Deserialize)]
struct Relay {
    partition: u32,
    state: String,
    reason: Option<String>,
    published: u64,
    unreadable: u64,
    #[serde(flatten)]
    lag: Lag,
}

#[derive(Deserialize)]
struct Lag {
    lag: Option<u64>,
}

pub(super) async fn run(args: Args) -> anyhow::Result<Outcome> {
    let client = args.service.client()?;
    let answer = client.get(client.url("admin/status")).await?;
    if args.json {
        say(&String::from_utf8_lossy(&answer.body))?;
    } else {
        say(show(&answer.json()?).trim_end())?;
    }
    Ok(Outcome::Done)
}

fn show(status: &Status) -> String {
    let Status { node, version, reasons, partitions, projections, .. } = status;
    let Status { inbox, outbox, policies, timer, .. } = status;
    let ready = if reasons.is_empty() { "ready" } else { "not ready" };
    let mut text = format!("{} at {}, retell {version}: {ready}\n", node.id, node.address);
    for Reason { code, detail } in reasons {
        text += &format!("  {code}: {detail}\n");
    }
    let titles = ["partition", "state", "owner", "term", "end", "void", "foreign", "alarms"];
    text += &table(titles, partitions.iter().map(of_partition));
    let titles = ["partition", "aggregates", "hits", "misses", "stored", "behind", "keys"];
    text += &table(titles, partitions.iter().map(of_states));
    for Partition { partition, problem, .. } in partitions {
        if let Some(problem) = problem {
            text += &format!("  states of partition {partition} are not stored: {problem}\n");
        }
    }
    let titles = ["projection", "revision", "state", "lag", "seconds", "parked", "generation"];
    text += &table(titles, projections.iter().map(of_projection));
    if let Some(inbox) = inbox {
        let titles = ["inbox", "state", "in flight", "lag", "answered", "problems", "repeated"];
        text += &table(titles, [of_inbox(inbox)].into_iter());
        text += &of_reason(&inbox.topic, inbox.reason.as_ref());
    }
    if let Some(Outbox { topic, partitions }) = outbox {
        let titles = ["outbox", "partition", "state", "lag", "published", "unreadable"];
        text += &table(titles, partitions.iter().map(|relay| of_relay(topic, relay)));
        let reason = |relay: &Relay| of_reason(topic, relay.reason.as_ref());
        text += &partitions.iter().map(reason).collect::<String>();
    }
    if !policies.is_empty() {
        let titles = ["policy", "partition", "state", "next", "parked", "why"];
        text += &table(titles, policies.iter().flat_map(of_policy));
    }
    if let Some(timer) = timer.as_ref().filter(|timer| timer.enabled) {
        text += &of_timer(timer);
    }
    text
}

fn of_inbox(inbox: &Inbox) -> [String; 7] {
    let lag = inbox.partitions.iter().filter_map(|partition| partition.lag).sum();
    let counts = [inbox.in_flight, lag, inbox.answered, inbox.problems, inbox.repeated];
    let [in_flight, lag, answered, problems, repeated] = counts.map(count);
    [inbox.topic.clone(), inbox.state.clone(), in_flight, lag, answered, problems, repeated]
}

fn of_relay(topic: &str, relay: &Relay) -> [String; 6] {
    let Relay { partition, state, published, unreadable, lag, .. } = relay;
    [
        topic.to_owned(),
        partition.to_string(),
        state.clone(),
        lag.lag.map_or("-".to_owned(), count),
        count(*published),
        count(*unreadable),
    ]
}

fn of_reason(topic: &str, reason: Option<&String>) -> String {
    reason.map(|reason| format!("  {topic}: {reason}\n")).unwrap_or_default()
}

fn of_policy(policy: &Policy) -> impl Iterator<Item = [String; 6]> {
    policy.partitions.iter().map(|it| {
        let why = it.reason.as_ref().or(it.detail.as_ref()).cloned();
        [
            policy.name.clone(),
            it.partition.to_string(),
            it.state.clone(),
            count(it.next),
            count(it.parked),
            why.unwrap_or_else(|| "-".to_owned()),
        ]
    })
}

fn of_timer(timer: &Timer) -> String {
    let Timer { interval_ms, last, problem, .. } = timer;
    let last = last.as_deref().unwrap_or("none");
    let problem = problem.as_ref().map(|problem| format!("; {problem}")).unwrap_or_default();
    format!("a message every {} ms, the last tick: {last}{problem}\n", count(*interval_ms))
}

fn of_partition(partition: &Partition) -> [String; 8] {
    let Partition { partition, owner, end, state, term, records, alarms, .. } = partition;
    let at = |Owner { node, address }: &Owner| format!("{node} at {address}");
    [
        partition.to_string(),
        state.clone(),
        owner.as_ref().map_or("-".to_owned(), at),
        term.map_or("-".to_owned(), |term| term.to_string()),
        end.map_or("-".to_owned(), count),
        count(records.void),
        count(records.foreign),
        count(*alarms),
    ]
}

fn of_states(of: &Partition) -> [String; 7] {
    let counts = [of.aggregates, of.hits, of.misses, of.stored, of.behind, of.outcomes];
    let [aggregates, hits, misses, stored, behind, keys] = counts.map(count);
    [of.partition.to_string(), aggregates, hits, misses, stored, behind, keys]
}

fn of_projection(projection: &Projection) -> [String; 7] {
    let Projection { name, revision, state, generation, lag, lag_seconds, parked } = projection;
    [
        name.clone(),
        revision.to_string(),
        state.clone(),
        count(*lag),
        format!("{lag_seconds:.1}"),
        count(*parked),
        generation.clone().unwrap_or_else(|| "-".to_owned()),
    ]
}

fn count(count: u64) -> String {
    HumanCount(count).to_string()
}
