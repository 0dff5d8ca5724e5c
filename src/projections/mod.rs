//! What readers see: the shipped projections, one file each, and the only list of them.
//!
//! A projection is a pure fold: no file here reads a clock, a file or a network.

mod account_totals;
mod accounts;
mod messages;

use crate::contract::Registrar;

pub use account_totals::{AccountOwner, AccountTotals, AccountTotalsView};
pub use accounts::{AccountView, AccountViewStatus, Accounts};
pub use messages::{MessageView, MessageViewStatus, Messages};

/// All projections that Retell ships.
pub fn register<R: Registrar>(app: R) -> R {
    app.projection(Accounts).projection(Messages).merged(AccountTotals)
}
