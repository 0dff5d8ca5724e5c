//! What a user sees, end to end, and what happens when something outside goes wrong.

mod command_line;
mod copy_file;
mod copy_log;
mod cqrs_framework;
mod event_mistakes;
mod evolution;
mod http_admin;
mod http_batch;
mod http_commands;
mod http_conditions;
mod http_input;
mod http_keys;
mod http_queries;
mod http_serving;
mod idempotency;
mod kafka_faults;
mod kafka_producer;
mod kafka_strangers;
mod kafka_topic;
mod live;
mod live_states;
mod live_strangers;
mod process;
mod read_loop;
mod states;
mod write_loop;
