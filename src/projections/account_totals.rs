//! The view `account-totals`: sums over all accounts, under the key `all`, and over the accounts of
//! one owner, under `owner:<owner>`.
//!
//! Sums are 128 bits wide, because a thousand full accounts overflow 64 and a sum must not.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::commands::Account;
use crate::contract::{Key, LinkedProjection, Recorded, Sources};
use crate::events::account::AccountEvent;

/// The key of the sums over all accounts.
const ALL: &str = "all";

/// Folds the events of all accounts into one [`AccountTotalsView`] for all and one per owner.
///
/// ```
/// use retell::commands::Account;
/// use retell::events::account::AccountEvent;
/// use retell::projections::{AccountTotals, AccountTotalsView};
/// use retell::test::MergedTest;
///
/// let opened = |owner: &str| AccountEvent::AccountOpened { owner: owner.into() };
/// let of = |accounts| AccountTotalsView { accounts, open: accounts, ..Default::default() };
/// MergedTest::of(AccountTotals)
///     .given::<Account>("1", [opened("Ann")])
///     .given::<Account>("2", [opened("Bob")])
///     .then_view("owner:Ann", Some(of(1)))
///     .then_view("all", Some(of(2)));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct AccountTotals;

/// Whose an account is: only its first event says so.
///
/// ```
/// use retell::projections::AccountOwner;
///
/// let link: AccountOwner = serde_json::from_str(r#"{"owner":"Ann"}"#)?;
/// assert_ne!(link, AccountOwner::default()); // before the account was opened
/// assert_eq!(serde_json::to_string(&link)?, r#"{"owner":"Ann"}"#);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct AccountOwner {
    owner: Option<String>,
}

/// Sums over accounts; amounts in minor units.
///
/// ```
/// use retell::LinkedProjection;
/// use retell::projections::{AccountTotals, AccountTotalsView};
///
/// // Sums of two partitions.
/// let part = |balance| AccountTotalsView { balance, ..AccountTotalsView::default() };
/// assert_eq!(AccountTotals.merge(part(500), part(-200)), part(300));
/// ```
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub struct AccountTotalsView {
    /// Accounts that were ever opened.
    pub accounts: u64,
    /// Accounts that are open.
    pub open: u64,
    /// What is there: what came in less what went out.
    pub balance: i128,
    /// What ever came in.
    pub deposited: i128,
    /// What ever went out.
    pub withdrawn: i128,
}

impl LinkedProjection for AccountTotals {
    type View = AccountTotalsView;
    type Link = AccountOwner;
    const NAME: &'static str = "account-totals";
    const REVISION: u32 = 2;

    fn sources(&self) -> Sources {
        Sources::default().and::<Account>()
    }

    fn link(&self, link: AccountOwner, recorded: &Recorded<'_>) -> AccountOwner {
        match recorded.event::<Account>() {
            Some(AccountEvent::AccountOpened { owner }) => {
                AccountOwner { owner: Some(owner.clone()) }
            }
            _ => link,
        }
    }

    fn keys(&self, link: &AccountOwner, _recorded: &Recorded<'_>) -> Vec<Key> {
        let all = Key::new(ALL).expect("`all` is a key");
        // An owner that makes no key is none that `OpenAccount` takes; it counts in `all`.
        let owner = link.owner.as_ref().map(|owner| Key::new(&format!("owner:{owner}")));
        [Some(all), owner.and_then(Result::ok)].into_iter().flatten().collect()
    }

    fn fold(
        &self,
        mut part: AccountTotalsView,
        _key: &Key,
        _link: &AccountOwner,
        recorded: &Recorded<'_>,
    ) -> AccountTotalsView {
        match recorded.event::<Account>() {
            Some(AccountEvent::AccountOpened { .. }) => {
                part.accounts += 1;
                part.open += 1;
            }
            Some(AccountEvent::MoneyDeposited { amount, .. }) => {
                part.deposited += i128::from(*amount);
                part.balance += i128::from(*amount);
            }
            Some(AccountEvent::MoneyWithdrawn { amount, .. }) => {
                part.withdrawn += i128::from(*amount);
                part.balance -= i128::from(*amount);
            }
            // An account is opened before it is closed, in the same partition, hence part.
            Some(AccountEvent::AccountClosed {}) => part.open = part.open.saturating_sub(1),
            None => {}
        }
        part
    }

    fn merge(&self, left: AccountTotalsView, right: AccountTotalsView) -> AccountTotalsView {
        AccountTotalsView {
            accounts: left.accounts + right.accounts,
            open: left.open + right.open,
            balance: left.balance + right.balance,
            deposited: left.deposited + right.deposited,
            withdrawn: left.withdrawn + right.withdrawn,
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::commands::BALANCE_MAX;
    use crate::events::account::AccountEvent::{
        AccountClosed, AccountOpened, MoneyDeposited, MoneyWithdrawn,
    };
    use crate::test::{MergedTest, check_merge};

    use super::*;

    fn opened() -> AccountEvent {
        opened_by("Ann")
    }

    fn opened_by(owner: &str) -> AccountEvent {
        AccountOpened { owner: owner.into() }
    }

    #[test]
    fn totals_are_summed_over_the_accounts_of_all_partitions() {
        let deposited = |amount| MoneyDeposited { amount, balance: amount };
        MergedTest::of(AccountTotals)
            .given::<Account>("ann", [opened(), deposited(500)])
            .given::<Account>("bob", [opened(), deposited(70)])
            .given::<Account>("cy", [opened()])
            .when::<Account>("ann", MoneyWithdrawn { amount: 200, balance: 300 })
            .when::<Account>("cy", AccountClosed {})
            .then_view(
                "all",
                Some(AccountTotalsView {
                    accounts: 3,
                    open: 2,
                    balance: 370,
                    deposited: 570,
                    withdrawn: 200,
                }),
            );
    }

    #[test]
    fn an_owner_has_the_totals_of_her_accounts() {
        let deposited = |amount| MoneyDeposited { amount, balance: amount };
        let of = |accounts, open, balance| AccountTotalsView {
            accounts,
            open,
            balance,
            deposited: balance,
            withdrawn: 0,
        };
        MergedTest::of(AccountTotals)
            .given::<Account>("1", [opened_by("Ann"), deposited(500)])
            .given::<Account>("2", [opened_by("Bob"), deposited(70)])
            .given::<Account>("3", [opened_by("Ann"), deposited(30), AccountClosed {}])
            .then_view("owner:Ann", Some(of(2, 1, 530)))
            .then_view("owner:Bob", Some(of(1, 1, 70)))
            .then_view("owner:Cy", None)
            .then_view("all", Some(of(3, 2, 600)));
    }

    #[test]
    fn an_owner_that_makes_no_key_counts_in_all() {
        MergedTest::of(AccountTotals)
            .given::<Account>("1", [opened_by("a/b")])
            .then_view("owner:a/b", None)
            .then_view(
                "all",
                Some(AccountTotalsView { accounts: 1, open: 1, ..Default::default() }),
            );
    }

    #[test]
    fn without_an_account_there_are_no_totals() {
        MergedTest::of(AccountTotals).then_view("all", None);
    }

    #[test]
    fn the_sums_of_many_full_accounts_are_exact() {
        let full = AccountTotalsView {
            balance: BALANCE_MAX.into(),
            deposited: i128::from(i64::MAX) * 1_000,
            ..AccountTotalsView::default()
        };
        let json = serde_json::to_string(&full).expect("JSON");
        assert_eq!(serde_json::from_str::<AccountTotalsView>(&json).ok(), Some(full.clone()));
        check_merge(&AccountTotals, &[full.clone(), full, AccountTotalsView::default()]);
    }

    #[test]
    fn a_client_gets_exactly_these_fields() {
        let json = serde_json::to_string(&AccountTotalsView::default()).expect("JSON");
        let expected = r#"{"accounts":0,"open":0,"balance":0,"deposited":0,"withdrawn":0}"#;
        assert_eq!(json, expected);
    }
}
