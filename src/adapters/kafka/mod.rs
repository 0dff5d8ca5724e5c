//! The log on a Kafka topic (rdkafka).
