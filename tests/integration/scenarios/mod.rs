//! What happens to the real parts when something outside goes wrong.

mod kafka_faults;
mod kafka_producer;
mod kafka_strangers;
mod kafka_topic;
