//! What librdkafka's clients tell of themselves, the latest of each.
//!
//! A client is known by its name, which is another one when it is made again; what one that is
//! gone has told is forgotten after a while.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::Statistics;

use crate::ports::Statistic;

/// How long what a client has told is shown.
const SHOWN_FOR: Duration = Duration::from_secs(60);

/// Microseconds in a second.
const MICROS: f64 = 1e6;

/// What the clients of one log have told.
#[derive(Clone, Default)]
pub(super) struct Told(Arc<Mutex<BTreeMap<String, Client>>>);

struct Client {
    /// What it is for, such as `producer`.
    kind: &'static str,
    at: Instant,
    numbers: [(&'static str, f64); 11],
}

impl Told {
    /// A client has told.
    pub(super) fn take(&self, kind: &'static str, statistics: &Statistics) {
        let client = Client { kind, at: Instant::now(), numbers: numbers(statistics) };
        let mut clients = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        clients.retain(|_, client| client.at.elapsed() < SHOWN_FOR);
        clients.insert(statistics.name.clone(), client);
    }

    /// All of it: clients of one kind together.
    pub(super) fn read(&self) -> Vec<Statistic> {
        let clients = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all: BTreeMap<(&'static str, &'static str), f64> = BTreeMap::new();
        for client in clients.values().filter(|client| client.at.elapsed() < SHOWN_FOR) {
            for (name, number) in client.numbers {
                let together = all.entry((client.kind, name)).or_default();
                *together =
                    if name == ROUND_TRIP { together.max(number) } else { *together + number };
            }
        }
        let shown = |((client, name), number)| Statistic::number(name, client, number);
        all.into_iter().map(shown).collect()
    }
}

/// The slowest broker counts; everything else adds up.
const ROUND_TRIP: &str = "retell_kafka_round_trip_seconds";

fn numbers(told: &Statistics) -> [(&'static str, f64); 11] {
    let brokers = || told.brokers.values();
    let connected = brokers().filter(|broker| broker.state == "UP").count();
    let errors: u64 = brokers().map(|broker| broker.txerrs + broker.rxerrs).sum();
    let timeouts: u64 = brokers().map(|broker| broker.req_timeouts).sum();
    let slowest = brokers().filter_map(|broker| Some(broker.rtt.as_ref()?.avg)).max();
    let slowest = slowest.unwrap_or_default();
    [
        ("retell_kafka_queued_messages", told.msg_cnt as f64),
        ("retell_kafka_queued_bytes", told.msg_size as f64),
        ("retell_kafka_requests_total", told.tx as f64),
        ("retell_kafka_sent_bytes_total", told.tx_bytes as f64),
        ("retell_kafka_received_bytes_total", told.rx_bytes as f64),
        ("retell_kafka_sent_messages_total", told.txmsgs as f64),
        ("retell_kafka_received_messages_total", told.rxmsgs as f64),
        ("retell_kafka_errors_total", errors as f64),
        ("retell_kafka_timeouts_total", timeouts as f64),
        ("retell_kafka_brokers_connected", connected as f64),
        (ROUND_TRIP, slowest as f64 / MICROS),
    ]
}
