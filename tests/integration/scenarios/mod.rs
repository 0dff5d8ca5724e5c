//! What a user sees, end to end.

mod http_admin;
mod http_commands;
mod http_input;
mod http_queries;
mod http_serving;
mod read_loop;
mod write_loop;
