//! The numbers of the clients by which the log and the view store are reached.

use crate::ports::Measured;

use super::super::Door;
use super::MICROS;
use super::exposition::Exposition;
use super::families::{Family, counter, gauge, histogram};

pub(super) const FAMILIES: &[Family] = &[
    gauge("retell_kafka_queued_messages", &["client"], "Messages that wait in the client."),
    gauge("retell_kafka_queued_bytes", &["client"], "Bytes of them."),
    counter("retell_kafka_requests_total", &["client"], "Requests to brokers."),
    counter("retell_kafka_sent_bytes_total", &["client"], "Bytes sent to brokers."),
    counter("retell_kafka_received_bytes_total", &["client"], "Bytes received from brokers."),
    counter("retell_kafka_sent_messages_total", &["client"], "Messages sent to brokers."),
    counter("retell_kafka_received_messages_total", &["client"], "Messages received from brokers."),
    counter("retell_kafka_errors_total", &["client"], "Requests that failed or came back wrong."),
    counter("retell_kafka_timeouts_total", &["client"], "Requests without an answer in time."),
    gauge("retell_kafka_brokers_connected", &["client"], "Brokers with a connection."),
    gauge(
        "retell_kafka_round_trip_seconds",
        &["client"],
        "The average round trip to the slowest broker.",
    ),
    histogram("retell_redis_call_seconds", &["client"], "How long Redis took for a call."),
    counter("retell_redis_errors_total", &["client"], "Calls that failed."),
    gauge("retell_redis_connections", &["client"], "Connections to Redis."),
];

pub(super) fn put(door: &Door, all: &mut Exposition) {
    let both = door.log.statistics().into_iter().chain(door.store.statistics());
    for statistic in both {
        let labels = &[("client", statistic.client)];
        match statistic.value {
            Measured::Number(number) => all.put(statistic.name, labels, number),
            Measured::Durations(read) => all.distribution(statistic.name, labels, &read, MICROS),
        }
    }
}
