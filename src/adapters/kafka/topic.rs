//! The topic: created as the log needs it, or checked setting by setting.
//!
//! A topic that could lose a record is never used. Every message names the setting, its value,
//! the value needed, and the command that mends it.

use std::collections::HashMap;
use std::future::Future;
use std::time::Duration;

use rdkafka::admin::{
    AdminClient, AdminOptions, ConfigResource, NewTopic, ResourceSpecifier, TopicReplication,
};
use rdkafka::error::{KafkaResult, RDKafkaErrorCode};
use rdkafka::metadata::{Metadata, MetadataTopic};
use rdkafka::types::RDKafkaRespErr;
use tokio::time::Instant;

use crate::config::KafkaAddress;
use crate::ports::LogError;

use super::context::{ANSWER_TIMEOUT, Context};
use super::needs::{Needed, Role, Setting};
use super::properties::Properties;
use super::queries::Queries;

/// Between two looks whether a new topic has leaders.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// What the topic must be.
pub(super) struct Topic {
    pub(super) address: KafkaAddress,
    pub(super) role: Role,
    pub(super) partitions: u32,
    pub(super) replication_factor: u32,
    pub(super) min_insync_replicas: u32,
    pub(super) batch_len_max: usize,
}

/// How many partitions the topic has, by what the brokers know; none when it is not there.
pub(super) fn found_partitions(found: &Metadata) -> Option<u32> {
    let topic = found.topics().first().filter(|topic| !is_missing(topic))?;
    u32::try_from(topic.partitions().len()).ok().filter(|&count| count > 0)
}

impl Topic {
    /// Creates the topic if it is not there, and checks it if it is; how many partitions it has.
    pub(super) async fn check(
        &self,
        properties: &Properties,
        context: &Context,
        queries: &Queries,
    ) -> Result<u32, LogError> {
        if self.min_insync_replicas > self.replication_factor {
            return Err(LogError::Settings(vec![format!(
                "log.kafka.min_insync_replicas is {}, more than log.kafka.replication_factor, {}: \
                 nothing could ever be appended",
                self.min_insync_replicas, self.replication_factor
            )]));
        }
        let admin: AdminClient<Context> = properties
            .admin()
            .create_with_context(context.of("admin"))
            .map_err(|error| LogError::Settings(vec![format!("admin client: {error}")]))?;
        let checked = self.check_with(&admin, context, queries).await;
        // Dropping it waits for its thread.
        tokio::task::spawn_blocking(move || drop(admin));
        checked
    }

    async fn check_with(
        &self,
        admin: &AdminClient<Context>,
        context: &Context,
        queries: &Queries,
    ) -> Result<u32, LogError> {
        // It is asked first because its answer to an absent broker is the clearest.
        let found = queries.metadata().await?;
        if found.topics().iter().all(is_missing) {
            self.create(admin, context).await?;
        }
        let replicas = self.wait_for_leaders(queries).await?;
        let configs = self.describe(admin, context).await?;
        let mut wrong = self.wrong_settings(&configs);
        wrong.extend(self.wrong_shape(&replicas));
        if !wrong.is_empty() {
            return Err(LogError::Settings(wrong));
        }
        Ok(u32::try_from(replicas.len()).expect("Kafka counts partitions in 31 bits"))
    }

    async fn create(
        &self,
        admin: &AdminClient<Context>,
        context: &Context,
    ) -> Result<(), LogError> {
        let settings = self.settings();
        let values: Vec<String> = settings.iter().map(|setting| setting.needed.value()).collect();
        let count = i32::try_from(self.partitions).unwrap_or(i32::MAX);
        let copies = i32::try_from(self.replication_factor).unwrap_or(i32::MAX);
        let topic = NewTopic::new(&self.address.topic, count, TopicReplication::Fixed(copies))
            // The broker turns every record into one that any build of librdkafka can read; a
            // stranger's zstd would stop readers.
            .set("compression.type", "uncompressed");
        let topic = settings
            .iter()
            .zip(&values)
            .fold(topic, |topic, (setting, value)| topic.set(setting.name, value));
        let created = self.ask(context, admin.create_topics([&topic], &options())).await?;
        match created.into_iter().next() {
            Some(Ok(_)) => {
                tracing::info!(topic = self.address.topic, partitions = count, "created the topic");
                Ok(())
            }
            Some(Err((_, code))) => self.not_created(code),
            None => Err(context.silent("topic")),
        }
    }

    fn not_created(&self, code: RDKafkaErrorCode) -> Result<(), LogError> {
        let name = &self.address.topic;
        match code {
            // Another node was faster; it is checked like any other.
            RDKafkaErrorCode::TopicAlreadyExists => Ok(()),
            RDKafkaErrorCode::InvalidReplicationFactor => Err(LogError::Settings(vec![format!(
                "topic {name} needs {} replicas and there are fewer brokers: start more, or set \
                 log.kafka.replication_factor",
                self.replication_factor
            )])),
            RDKafkaErrorCode::TopicAuthorizationFailed
            | RDKafkaErrorCode::ClusterAuthorizationFailed
            | RDKafkaErrorCode::PolicyViolation
            | RDKafkaErrorCode::InvalidConfig
            | RDKafkaErrorCode::InvalidPartitions
            | RDKafkaErrorCode::InvalidTopic => Err(LogError::Settings(vec![format!(
                "topic {name} is not there and the cluster does not let Retell create it ({code}): \
                 {}",
                self.create_command()
            )])),
            code => Err(LogError::Unavailable(format!("topic {name} was not created: {code}"))),
        }
    }

    /// Waits until every partition has a leader; returns how many replicas each has.
    async fn wait_for_leaders(&self, queries: &Queries) -> Result<Vec<usize>, LogError> {
        let deadline = Instant::now() + ANSWER_TIMEOUT;
        loop {
            let found = queries.metadata().await?;
            let partitions = found.topics().first().map_or(&[][..], MetadataTopic::partitions);
            if !partitions.is_empty() && partitions.iter().all(|at| at.leader() >= 0) {
                return Ok(partitions.iter().map(|at| at.replicas().len()).collect());
            }
            if Instant::now() > deadline {
                let name = &self.address.topic;
                let what = format!("topic {name} has partitions without a leader");
                return Err(LogError::Unavailable(what));
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    async fn describe(
        &self,
        admin: &AdminClient<Context>,
        context: &Context,
    ) -> Result<ConfigResource, LogError> {
        let topic = ResourceSpecifier::Topic(&self.address.topic);
        let described = self.ask(context, admin.describe_configs([&topic], &options())).await?;
        match described.into_iter().next() {
            Some(Ok(configs)) => Ok(configs),
            Some(Err(code)) => Err(LogError::Unavailable(format!(
                "the settings of topic {} cannot be read: {code}",
                self.address.topic
            ))),
            None => Err(context.silent("the topic's settings")),
        }
    }

    async fn ask<T>(
        &self,
        context: &Context,
        answer: impl Future<Output = KafkaResult<T>>,
    ) -> Result<T, LogError> {
        answer.await.map_err(|error| context.unavailable("topic", &error))
    }

    fn settings(&self) -> Vec<Setting> {
        self.role.settings(self.batch_len_max, self.min_insync_replicas)
    }

    fn wrong_settings(&self, configs: &ConfigResource) -> Vec<String> {
        let values: HashMap<&str, &str> = configs
            .entries
            .iter()
            .filter_map(|entry| Some((entry.name.as_str(), entry.value.as_deref()?)))
            .collect();
        if matches!(values.get("compression.type"), Some(&("producer" | "zstd"))) {
            tracing::warn!(
                topic = self.address.topic,
                "compression.type lets a stranger's zstd into the topic, which readers cannot \
                 read; uncompressed, gzip, snappy or lz4 do not"
            );
        }
        let wrong = |setting: &Setting| {
            let value = values.get(setting.name).copied().unwrap_or("unknown");
            (!setting.needed.is_met(value)).then(|| self.mend(setting, value))
        };
        self.settings().iter().filter_map(wrong).collect()
    }

    fn mend(&self, setting: &Setting, value: &str) -> String {
        let KafkaAddress { brokers, topic } = &self.address;
        let (name, needed) = (setting.name, &setting.needed);
        let least = if matches!(needed, Needed::AtLeast(_)) { "at least " } else { "" };
        let needed = needed.value();
        format!(
            "topic {topic}: {name} is {value}, needed is {least}{needed}: kafka-configs.sh \
             --bootstrap-server {brokers} --alter --entity-type topics --entity-name {topic} \
             --add-config {name}={needed}"
        )
    }

    fn wrong_shape(&self, replicas: &[usize]) -> Vec<String> {
        let KafkaAddress { brokers, topic } = &self.address;
        let mut wrong = Vec::new();
        wrong.extend(self.role.wrong_count(topic, replicas.len(), self.partitions));
        let least = replicas.iter().copied().min().unwrap_or_default();
        if least < self.replication_factor as usize {
            wrong.push(format!(
                "topic {topic} has partitions with {least} replicas, needed are at least {}: \
                 kafka-reassign-partitions.sh --bootstrap-server {brokers} \
                 --reassignment-json-file FILE --execute, with a FILE that gives each partition \
                 {} brokers",
                self.replication_factor, self.replication_factor
            ));
        }
        wrong
    }

    fn create_command(&self) -> String {
        let KafkaAddress { brokers, topic } = &self.address;
        let settings: String = self
            .settings()
            .iter()
            .map(|setting| format!(" --config {}={}", setting.name, setting.needed.value()))
            .collect();
        format!(
            "kafka-topics.sh --bootstrap-server {brokers} --create --topic {topic} --partitions {} \
             --replication-factor {}{settings}",
            self.partitions, self.replication_factor
        )
    }
}

fn options() -> AdminOptions {
    AdminOptions::new()
        .request_timeout(Some(ANSWER_TIMEOUT))
        .operation_timeout(Some(ANSWER_TIMEOUT))
}

fn is_missing(topic: &MetadataTopic) -> bool {
    matches!(
        topic.error(),
        Some(
            RDKafkaRespErr::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART
                | RDKafkaRespErr::RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC
        )
    )
}
