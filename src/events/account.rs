//! What can happen to a bank account.
//!
//! Tags and fields are the storage format: never rename one, never change what one means.

use cqrs_es::DomainEvent;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Something that happened to an account. Amounts are integers in minor units.
///
/// ```
/// use retell::events::account::AccountEvent;
///
/// let stored = r#"{"MoneyDeposited":{"amount":500,"balance":700}}"#;
/// let deposited: AccountEvent = serde_json::from_str(stored)?;
/// assert_eq!(deposited, AccountEvent::MoneyDeposited { amount: 500, balance: 700 });
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum AccountEvent {
    /// The account was opened.
    AccountOpened {
        /// Whose it is.
        owner: String,
    },
    /// Money came in.
    MoneyDeposited {
        /// How much.
        amount: i64,
        /// The balance after it.
        balance: i64,
    },
    /// Money went out.
    MoneyWithdrawn {
        /// How much.
        amount: i64,
        /// The balance after it.
        balance: i64,
    },
    /// The account was closed for ever.
    AccountClosed {},
}

impl DomainEvent for AccountEvent {
    fn event_type(&self) -> String {
        let tag = match self {
            Self::AccountOpened { .. } => "AccountOpened",
            Self::MoneyDeposited { .. } => "MoneyDeposited",
            Self::MoneyWithdrawn { .. } => "MoneyWithdrawn",
            Self::AccountClosed {} => "AccountClosed",
        };
        tag.to_owned()
    }

    fn event_version(&self) -> String {
        "1".to_owned()
    }
}
