//! What a librdkafka client says about itself: log lines go to tracing, the last error is kept.
//!
//! Nothing goes to standard error, and no error is lost: whoever waited in vain quotes the last.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::statistics::Broker;
use rdkafka::{ClientContext, Statistics};

use crate::ports::{LogError, Statistic};

use super::statistics::Told;

/// The context of consumers and of the admin client, and a part of the producer's.
#[derive(Clone)]
pub(super) struct Context {
    client: &'static str,
    brokers: Arc<str>,
    last_error: Arc<Mutex<Option<String>>>,
    told: Told,
    /// Of this client alone.
    is_lost: Arc<AtomicBool>,
}

impl Context {
    /// A context for all clients of one log.
    pub(super) fn new(brokers: &str) -> Self {
        Self {
            client: "client",
            brokers: brokers.into(),
            last_error: Arc::default(),
            told: Told::default(),
            is_lost: Arc::default(),
        }
    }

    /// That of one new client, under its name; all of them share the last error.
    pub(super) fn of(&self, client: &'static str) -> Self {
        Self { client, is_lost: Arc::default(), ..self.clone() }
    }

    /// Whether the client knows no broker any more, and never will: another must take its place.
    ///
    /// A broker that its cluster has just fenced, because it was silent for too long, answers that
    /// there are no brokers. librdkafka believes it, forgets all that it knows, and begins again
    /// with those of its configuration; but an answer that is being read then calls that off, and
    /// there is nobody left to ask (confluentinc/librdkafka#5301). What it tells of itself shows
    /// it; its log and its errors do not.
    pub(super) fn is_lost(&self) -> bool {
        self.is_lost.load(Ordering::SeqCst)
    }

    /// Hears whether the client has lost the brokers.
    pub(super) fn look(&self, told: &Statistics) {
        let is_known = |broker: &Broker| matches!(&*broker.source, "configured" | "learned");
        let knows_none = !told.brokers.values().any(is_known);
        if knows_none && !self.is_lost.swap(true, Ordering::SeqCst) {
            let client = self.client;
            tracing::warn!(client, "it knows no broker any more; another takes its place");
        }
    }

    /// An answer did not come.
    pub(super) fn unavailable(&self, what: &str, error: &KafkaError) -> LogError {
        let code = error.rdkafka_error_code();
        let silent = matches!(
            code,
            Some(
                RDKafkaErrorCode::BrokerTransportFailure
                    | RDKafkaErrorCode::AllBrokersDown
                    | RDKafkaErrorCode::OperationTimedOut
                    | RDKafkaErrorCode::TimedOutQueue
            )
        );
        if silent {
            return self.silent(what);
        }
        LogError::Unavailable(format!(
            "{what}: {}",
            code.map_or_else(|| error.to_string(), |code| code.to_string())
        ))
    }

    /// No broker answered.
    pub(super) fn silent(&self, what: &str) -> LogError {
        let last = self.last_error.lock().expect("nothing panics while it is held").clone();
        let last = last.map(|last| format!(" ({last})")).unwrap_or_default();
        LogError::Unavailable(format!("{what}: no answer from {}{last}", self.brokers))
    }

    /// What the clients have told of themselves.
    pub(super) fn statistics(&self) -> Vec<Statistic> {
        self.told.read()
    }

    /// Whatever was wrong is over.
    pub(super) fn answered(&self) {
        *self.last_error.lock().expect("nothing panics while it is held") = None;
    }
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        let client = self.client;
        match level {
            // Settings of one kind of client are given to all kinds.
            RDKafkaLogLevel::Warning if facility == "CONFWARN" => {
                tracing::debug!(client, facility, "{message}");
            }
            RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical => {
                tracing::error!(client, facility, "{message}");
            }
            // Above all connections that fail: librdkafka heals them by itself.
            RDKafkaLogLevel::Error | RDKafkaLogLevel::Warning => {
                tracing::warn!(client, facility, "{message}");
            }
            RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info => {
                tracing::debug!(client, facility, "{message}");
            }
            RDKafkaLogLevel::Debug => tracing::trace!(client, facility, "{message}"),
        }
    }

    fn stats(&self, statistics: Statistics) {
        self.look(&statistics);
        self.told.take(self.client, &statistics);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        let code = error.rdkafka_error_code();
        // The end of a partition arrives here too; its reader is told another way.
        if code == Some(RDKafkaErrorCode::PartitionEOF) {
            return;
        }
        tracing::debug!(client = self.client, %error, "{reason}");
        // It follows the errors that say why, and says less.
        if code != Some(RDKafkaErrorCode::AllBrokersDown) {
            let mut last = self.last_error.lock().expect("nothing panics while it is held");
            *last = Some(reason.to_owned());
        }
    }
}

impl ConsumerContext for Context {}

/// How long a question may take before the log counts as unavailable.
pub(super) const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
