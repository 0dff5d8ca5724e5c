//! What a user sees, end to end, and what happens when something outside goes wrong.

mod kafka_faults;
mod kafka_producer;
mod kafka_strangers;
mod kafka_topic;
mod read_loop;
mod write_loop;
