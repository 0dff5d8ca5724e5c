//! What may happen: the shipped aggregates, one file each, and the only list of them.
//!
//! An aggregate decides and does nothing else: no file here reads a clock, a file or a network.

mod account;
mod message;

use crate::contract::Registrar;

pub use account::{
    Account, AccountCommand, AccountError, AccountStatus, BALANCE_MAX, OWNER_LEN_MAX,
};
pub use message::{Message, MessageCommand, MessageError, MessageStatus, TEXT_CHARS_MAX};

/// All aggregates that Retell ships.
pub fn register<R: Registrar>(app: R) -> R {
    app.aggregate::<Account>(()).aggregate::<Message>(())
}
