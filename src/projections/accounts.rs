//! The view `accounts`: an account as its owner sees it, under the account's id.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::commands::Account;
use crate::contract::{Projection, Recorded, Time, Version};
use crate::events::account::AccountEvent;

/// Folds the events of an account into its [`AccountView`].
///
/// ```
/// use retell::events::account::AccountEvent;
/// use retell::projections::{AccountView, AccountViewStatus, Accounts};
/// use retell::test::{ProjectionTest, time_of_event};
/// # use retell::Version;
///
/// let view = AccountView {
///     id: "ann".into(),
///     owner: "Ann".into(),
///     balance: 500,
///     status: AccountViewStatus::Open,
///     movements: 1,
///     opened_at: time_of_event(1),
///     updated_at: time_of_event(2),
///     version: Version(2),
/// };
/// ProjectionTest::of(Accounts)
///     .given("ann", [AccountEvent::AccountOpened { owner: "Ann".into() }])
///     .when(AccountEvent::MoneyDeposited { amount: 500, balance: 500 })
///     .then_view(Some(view));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Accounts;

/// An account as readers see it.
///
/// ```
/// use retell::projections::{AccountView, AccountViewStatus};
///
/// let json = r#"{"id":"ann","owner":"Ann","balance":500,"status":"open","movements":1,"version":2,
///     "opened_at":"2026-11-22T10:00:00.000Z","updated_at":"2026-11-22T10:00:01.000Z"}"#;
/// let view: AccountView = serde_json::from_str(json)?;
/// assert_eq!((view.balance, view.status), (500, AccountViewStatus::Open));
/// assert_eq!(view.updated_at.millis_since(view.opened_at), 1_000);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub struct AccountView {
    /// The id of the account.
    pub id: String,
    /// Whose it is.
    pub owner: String,
    /// What is there, in minor units.
    pub balance: i64,
    /// Whether money may move.
    pub status: AccountViewStatus,
    /// How many deposits and withdrawals there were.
    pub movements: u64,
    /// When it was opened.
    pub opened_at: Time,
    /// When something last happened to it.
    pub updated_at: Time,
    /// How many events it has had.
    pub version: Version,
}

/// Whether money may move.
///
/// ```
/// use retell::projections::AccountViewStatus;
///
/// assert_eq!(serde_json::to_string(&AccountViewStatus::Closed)?, r#""closed""#);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AccountViewStatus {
    /// It may.
    Open,
    /// It never will again.
    Closed,
}

impl Projection for Accounts {
    type Aggregate = Account;
    type View = AccountView;
    const NAME: &'static str = "accounts";
    const REVISION: u32 = 2;
    const INDEXES: &'static [&'static [&'static str]] =
        &[&["balance"], &["owner", "balance"], &["status", "opened_at"]];

    fn fold(
        &self,
        view: Option<AccountView>,
        event: &AccountEvent,
        recorded: &Recorded<'_>,
    ) -> Option<AccountView> {
        let mut view = match event {
            AccountEvent::AccountOpened { owner } => AccountView::of_new(owner, recorded),
            _ => view?, // an account begins with AccountOpened
        };
        match event {
            AccountEvent::AccountOpened { .. } => {}
            AccountEvent::MoneyDeposited { balance, .. }
            | AccountEvent::MoneyWithdrawn { balance, .. } => {
                view.balance = *balance;
                view.movements += 1;
            }
            AccountEvent::AccountClosed {} => view.status = AccountViewStatus::Closed,
        }
        view.updated_at = recorded.time();
        view.version = recorded.version();
        Some(view)
    }
}

impl AccountView {
    fn of_new(owner: &str, recorded: &Recorded<'_>) -> Self {
        Self {
            id: recorded.id().to_owned(),
            owner: owner.to_owned(),
            balance: 0,
            status: AccountViewStatus::Open,
            movements: 0,
            opened_at: recorded.time(),
            updated_at: recorded.time(),
            version: recorded.version(),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::events::account::AccountEvent::{
        AccountClosed, AccountOpened, MoneyDeposited, MoneyWithdrawn,
    };
    use crate::test::{ProjectionTest, time_of_event};

    use super::*;

    fn opened() -> AccountEvent {
        AccountOpened { owner: "Ann".into() }
    }

    fn new_view() -> AccountView {
        AccountView {
            id: "ann".into(),
            owner: "Ann".into(),
            balance: 0,
            status: AccountViewStatus::Open,
            movements: 0,
            opened_at: time_of_event(1),
            updated_at: time_of_event(1),
            version: Version(1),
        }
    }

    #[test]
    fn an_opened_account_is_open_and_empty() {
        ProjectionTest::of(Accounts).given("ann", [opened()]).then_view(Some(new_view()));
    }

    #[test]
    fn deposits_and_withdrawals_are_counted_and_set_the_balance() {
        ProjectionTest::of(Accounts)
            .given("ann", [opened()])
            .when(MoneyDeposited { amount: 500, balance: 500 })
            .when(MoneyWithdrawn { amount: 200, balance: 300 })
            .then_view(Some(AccountView {
                balance: 300,
                movements: 2,
                updated_at: time_of_event(3),
                version: Version(3),
                ..new_view()
            }));
    }

    #[test]
    fn a_closed_account_stays_visible() {
        ProjectionTest::of(Accounts).given("ann", [opened()]).when(AccountClosed {}).then_view(
            Some(AccountView {
                status: AccountViewStatus::Closed,
                updated_at: time_of_event(2),
                version: Version(2),
                ..new_view()
            }),
        );
    }

    #[test]
    fn a_client_gets_exactly_these_fields() {
        let json = serde_json::to_string(&new_view()).expect("JSON");
        let expected = r#"{"id":"ann","owner":"Ann","balance":0,"status":"open","movements":0,"#;
        let expected = expected.to_owned()
            + r#""opened_at":"2026-01-01T00:00:00.000Z","#
            + r#""updated_at":"2026-01-01T00:00:00.000Z","version":1}"#;
        assert_eq!(json, expected);
    }
}
