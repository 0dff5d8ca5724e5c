//! What a user sees, end to end.

mod read_loop;
mod write_loop;
