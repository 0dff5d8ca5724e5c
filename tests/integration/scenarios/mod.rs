//! What a user sees, end to end.

mod write_loop;
