//! The view `account-totals`: sums over all accounts, under the one key `all`.
//!
//! Sums are 128 bits wide, because a thousand full accounts overflow 64 and a sum must not.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::commands::Account;
use crate::contract::{Key, MergedProjection, Recorded, Sources};
use crate::events::account::AccountEvent;

/// The key of the sums over all accounts.
const ALL: &str = "all";

/// Folds the events of all accounts into one [`AccountTotalsView`].
#[derive(Clone, Copy, Debug)]
pub struct AccountTotals;

/// Sums over accounts; amounts in minor units.
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

impl MergedProjection for AccountTotals {
    type View = AccountTotalsView;
    const NAME: &'static str = "account-totals";
    const REVISION: u32 = 1;

    fn sources(&self) -> Sources {
        Sources::default().and::<Account>()
    }

    fn keys(&self, _recorded: &Recorded<'_>) -> Vec<Key> {
        vec![Key::new(ALL).expect("`all` is a key")]
    }

    fn fold(
        &self,
        mut part: AccountTotalsView,
        _key: &Key,
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
        AccountOpened { owner: "Ann".into() }
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
