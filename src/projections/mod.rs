//! What readers see: the shipped projections, one file each, and the only list of them.
//!
//! A projection is a pure fold: no file here reads a clock, a file or a network.

mod account_totals;
mod accounts;
mod messages;

pub use account_totals::{AccountTotals, AccountTotalsView};
pub use accounts::{AccountView, AccountViewStatus, Accounts};
pub use messages::{MessageView, MessageViewStatus, Messages};
