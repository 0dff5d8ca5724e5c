//! What follows by itself: the shipped policies, one file each, and the only list of them.
//!
//! A policy is a pure function: no file here reads a clock, a file or a network.

mod consume_message;
mod timed_message;

use crate::contract::Registrar;

pub use consume_message::ConsumeMessage;
pub use timed_message::timed_message;

/// All policies that Retell ships, and what its timer does.
pub fn register<R: Registrar>(app: R) -> R {
    app.policy(ConsumeMessage).timer(timed_message)
}
