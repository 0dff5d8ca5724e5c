//! A bank account: it is opened once, its balance is never negative, and once closed it is closed.

use cqrs_es::event_sink::EventSink;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::contract::{Aggregate, InvalidKey, Key, Refusal};
use crate::events::account::AccountEvent;

/// The highest balance, in minor units: 2^53 - 1, the highest integer that JavaScript reads
/// exactly. No single amount can be higher either: it would overflow or overdraw any balance.
pub const BALANCE_MAX: i64 = (1 << 53) - 1;

/// The longest owner, in bytes: `owner:<owner>` must be a view key, and those have at most 200.
pub const OWNER_LEN_MAX: usize = 190;

// ---- command

/// An order to an account. Amounts are integers in minor units.
///
/// ```
/// use retell::commands::{Account, AccountCommand};
/// use retell::{events::account::AccountEvent, test::TestFramework};
///
/// let open = AccountCommand::OpenAccount { owner: "Ann".into() };
/// let opened = AccountEvent::AccountOpened { owner: "Ann".into() };
/// TestFramework::<Account>::with(()).given(vec![]).when(open).then_expect_events(vec![opened]);
/// ```
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub enum AccountCommand {
    /// Opens the account.
    OpenAccount {
        /// Whose it will be; a valid view key of at most 190 bytes.
        owner: String,
    },
    /// Puts money in.
    DepositMoney {
        /// How much.
        #[schemars(range(min = 1, max = 9_007_199_254_740_991_i64))]
        amount: i64,
    },
    /// Takes money out, as far as there is any.
    WithdrawMoney {
        /// How much.
        #[schemars(range(min = 1, max = 9_007_199_254_740_991_i64))]
        amount: i64,
    },
    /// Closes the account, which must be empty.
    CloseAccount {},
}

// ---- error

/// Why an account refuses a command.
///
/// ```
/// let error = retell::commands::AccountError::InsufficientFunds { balance: 500, amount: 501 };
/// assert_eq!(error.to_string(), "the balance is 500, 501 were asked for");
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum AccountError {
    /// It was opened before, and may have been closed since.
    #[error("an account with this id has been opened before")]
    AlreadyOpen,
    /// The owner has no visible character.
    #[error("the owner is empty or blank")]
    OwnerMissing,
    /// The owner cannot be part of a view key.
    #[error("the owner {0}")]
    OwnerInvalid(InvalidKey),
    /// The owner has more than [`OWNER_LEN_MAX`] bytes.
    #[error("the owner must have at most {OWNER_LEN_MAX} bytes, has {0}")]
    OwnerTooLong(usize),
    /// There is no such account yet.
    #[error("the account has not been opened")]
    NotOpen,
    /// It was closed.
    #[error("the account is closed")]
    AccountClosed,
    /// Nothing can be moved by this amount.
    #[error("the amount must be at least 1, is {0}")]
    AmountNotPositive(i64),
    /// The balance would be over [`BALANCE_MAX`].
    #[error("the balance is {balance}, {amount} more would take it over {BALANCE_MAX}")]
    BalanceOverflow {
        /// What is there.
        balance: i64,
        /// What was to come in.
        amount: i64,
    },
    /// The balance would be negative.
    #[error("the balance is {balance}, {amount} were asked for")]
    InsufficientFunds {
        /// What is there.
        balance: i64,
        /// What was to go out.
        amount: i64,
    },
    /// Only an empty account can be closed.
    #[error("the balance is {0}, it must be 0 to close the account")]
    BalanceNotZero(i64),
}

impl AccountError {
    const fn code(&self) -> &'static str {
        match self {
            Self::AlreadyOpen => "already_open",
            Self::OwnerMissing => "owner_missing",
            Self::OwnerInvalid(_) | Self::OwnerTooLong(_) => "owner_invalid",
            Self::NotOpen => "not_open",
            Self::AccountClosed => "account_closed",
            Self::AmountNotPositive(_) => "amount_not_positive",
            Self::BalanceOverflow { .. } => "balance_overflow",
            Self::InsufficientFunds { .. } => "insufficient_funds",
            Self::BalanceNotZero(_) => "balance_not_zero",
        }
    }
}

// ---- state

/// An account as its events left it.
///
/// ```
/// use retell::commands::{Account, AccountStatus};
///
/// let account = Account { status: AccountStatus::Open, owner: "Ann".into(), balance: 5 };
/// let stored = serde_json::to_string(&account).expect("JSON");
/// assert_eq!(stored, r#"{"status":"open","owner":"Ann","balance":5}"#);
/// ```
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Account {
    /// Where in its life it is.
    pub status: AccountStatus,
    /// Whose it is; empty before it is opened.
    pub owner: String,
    /// What is there, in minor units: 0 to [`BALANCE_MAX`].
    pub balance: i64,
}

/// Where in its life an account is.
///
/// ```
/// let account = retell::commands::Account::default();
/// assert_eq!(account.status, retell::commands::AccountStatus::NotOpen);
/// ```
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AccountStatus {
    /// It has no event yet.
    #[default]
    NotOpen,
    /// Money may move.
    Open,
    /// Nothing will ever happen again.
    Closed,
}

impl cqrs_es::Aggregate for Account {
    const TYPE: &'static str = "account";
    type Command = AccountCommand;
    type Event = AccountEvent;
    type Error = AccountError;
    type Services = ();

    async fn handle(
        &mut self,
        command: AccountCommand,
        (): &(),
        sink: &EventSink<Self>,
    ) -> Result<(), AccountError> {
        let event = self.decide(command)?;
        sink.write(event, self).await;
        Ok(())
    }

    fn apply(&mut self, event: AccountEvent) {
        self.evolve(event);
    }
}

impl Aggregate for Account {
    fn refusal(error: &AccountError) -> Refusal {
        Refusal::new(error.code(), error.to_string())
    }
}

// ---- decide

impl Account {
    fn decide(&self, command: AccountCommand) -> Result<AccountEvent, AccountError> {
        match command {
            AccountCommand::OpenAccount { owner } => self.open(owner),
            AccountCommand::DepositMoney { amount } => self.deposit(amount),
            AccountCommand::WithdrawMoney { amount } => self.withdraw(amount),
            AccountCommand::CloseAccount {} => self.close(),
        }
    }

    fn open(&self, owner: String) -> Result<AccountEvent, AccountError> {
        if self.status != AccountStatus::NotOpen {
            return Err(AccountError::AlreadyOpen);
        }
        if owner.trim().is_empty() {
            return Err(AccountError::OwnerMissing);
        }
        if owner.len() > OWNER_LEN_MAX {
            return Err(AccountError::OwnerTooLong(owner.len()));
        }
        Key::new(&owner).map_err(AccountError::OwnerInvalid)?;
        Ok(AccountEvent::AccountOpened { owner })
    }

    fn deposit(&self, amount: i64) -> Result<AccountEvent, AccountError> {
        let balance = self.balance_to_move(amount)?;
        if amount > BALANCE_MAX - balance {
            return Err(AccountError::BalanceOverflow { balance, amount });
        }
        Ok(AccountEvent::MoneyDeposited { amount, balance: balance + amount })
    }

    fn withdraw(&self, amount: i64) -> Result<AccountEvent, AccountError> {
        let balance = self.balance_to_move(amount)?;
        if amount > balance {
            return Err(AccountError::InsufficientFunds { balance, amount });
        }
        Ok(AccountEvent::MoneyWithdrawn { amount, balance: balance - amount })
    }

    fn close(&self) -> Result<AccountEvent, AccountError> {
        self.require_open()?;
        if self.balance != 0 {
            return Err(AccountError::BalanceNotZero(self.balance));
        }
        Ok(AccountEvent::AccountClosed {})
    }

    fn balance_to_move(&self, amount: i64) -> Result<i64, AccountError> {
        self.require_open()?;
        if amount <= 0 {
            return Err(AccountError::AmountNotPositive(amount));
        }
        Ok(self.balance)
    }

    const fn require_open(&self) -> Result<(), AccountError> {
        match self.status {
            AccountStatus::Open => Ok(()),
            AccountStatus::NotOpen => Err(AccountError::NotOpen),
            AccountStatus::Closed => Err(AccountError::AccountClosed),
        }
    }
}

// ---- evolve

impl Account {
    fn evolve(&mut self, event: AccountEvent) {
        match event {
            AccountEvent::AccountOpened { owner } => {
                self.status = AccountStatus::Open;
                self.owner = owner;
            }
            AccountEvent::MoneyDeposited { balance, .. }
            | AccountEvent::MoneyWithdrawn { balance, .. } => self.balance = balance,
            AccountEvent::AccountClosed {} => self.status = AccountStatus::Closed,
        }
    }
}

// ---- tests

#[cfg(test)]
mod tests {
    use cqrs_es::test::{AggregateTestExecutor, TestFramework};

    use crate::test::check_events;

    use super::AccountCommand::{CloseAccount, DepositMoney, OpenAccount, WithdrawMoney};
    use super::AccountEvent::{AccountClosed, AccountOpened, MoneyDeposited, MoneyWithdrawn};
    use super::*;

    fn given(events: Vec<AccountEvent>) -> AggregateTestExecutor<Account> {
        TestFramework::<Account>::with(()).given(events)
    }

    fn opened() -> AccountEvent {
        AccountOpened { owner: "Ann".into() }
    }

    fn open_for(owner: &str) -> AccountCommand {
        OpenAccount { owner: owner.into() }
    }

    fn deposited(amount: i64, balance: i64) -> AccountEvent {
        MoneyDeposited { amount, balance }
    }

    fn full() -> Vec<AccountEvent> {
        vec![opened(), deposited(BALANCE_MAX, BALANCE_MAX)]
    }

    /// A refused command: its code, and the whole sentence.
    fn refused(given_events: Vec<AccountEvent>, command: AccountCommand, code: &str, detail: &str) {
        let error = given(given_events).when(command).inspect_result().expect_err("a refusal");
        let refusal = Account::refusal(&error);
        assert_eq!((&*refusal.code, &*refusal.detail), (code, detail));
    }

    #[test]
    fn an_account_is_opened_for_its_owner_once_even_after_it_was_closed() {
        given(vec![]).when(open_for("Ann")).then_expect_events(vec![opened()]);
        let detail = "an account with this id has been opened before";
        refused(vec![opened()], open_for("Ann"), "already_open", detail);
        refused(vec![opened(), AccountClosed {}], open_for("Ann"), "already_open", detail);
    }

    #[test]
    fn an_owner_must_be_a_view_key_with_a_visible_character() {
        for owner in ["", "  ", "\n"] {
            refused(vec![], open_for(owner), "owner_missing", "the owner is empty or blank");
        }
        let invalid = |owner, detail| refused(vec![], open_for(owner), "owner_invalid", detail);
        invalid("a/b", "the owner must not contain `/`");
        invalid("a\u{7}", "the owner must not contain control characters, has one at byte 1");
        invalid("..", "the owner must not be `.` or `..`");
    }

    #[test]
    fn an_owner_has_at_most_190_bytes() {
        let longest = "ö".repeat(95);
        let event = AccountOpened { owner: longest.clone() };
        given(vec![]).when(open_for(&longest)).then_expect_events(vec![event]);
        let detail = "the owner must have at most 190 bytes, has 191";
        refused(vec![], open_for(&(longest + "x")), "owner_invalid", detail);
    }

    #[test]
    fn deposits_and_withdrawals_carry_the_balance_after_them_which_is_never_negative() {
        let given_500 = || vec![opened(), deposited(500, 500)];
        let deposit = DepositMoney { amount: 20 };
        given(given_500()).when(deposit).then_expect_events(vec![deposited(20, 520)]);
        let withdrawn = MoneyWithdrawn { amount: 500, balance: 0 };
        given(given_500()).when(WithdrawMoney { amount: 500 }).then_expect_events(vec![withdrawn]);
        let detail = "the balance is 500, 501 were asked for";
        refused(given_500(), WithdrawMoney { amount: 501 }, "insufficient_funds", detail);
    }

    #[test]
    fn an_amount_is_at_least_1() {
        for amount in [0, -1, i64::MIN] {
            let detail = format!("the amount must be at least 1, is {amount}");
            for command in [DepositMoney { amount }, WithdrawMoney { amount }] {
                refused(full(), command, "amount_not_positive", &detail);
            }
        }
    }

    #[test]
    fn a_balance_is_at_most_what_javascript_reads_exactly() {
        let deposit = DepositMoney { amount: BALANCE_MAX };
        given(vec![opened()]).when(deposit).then_expect_events(full().split_off(1));
        let detail = "the balance is 9007199254740991, 1 more would take it over 9007199254740991";
        refused(full(), DepositMoney { amount: 1 }, "balance_overflow", detail);
    }

    #[test]
    fn an_amount_above_any_balance_overflows_or_overdraws_it() {
        for amount in [BALANCE_MAX + 1, i64::MAX] {
            let said = format!("the balance is 0, {amount} more would take it over {BALANCE_MAX}");
            refused(vec![opened()], DepositMoney { amount }, "balance_overflow", &said);
            let detail = format!("the balance is {BALANCE_MAX}, {amount} were asked for");
            refused(full(), WithdrawMoney { amount }, "insufficient_funds", &detail);
        }
    }

    #[test]
    fn an_account_is_closed_when_it_is_empty() {
        given(vec![opened()]).when(CloseAccount {}).then_expect_events(vec![AccountClosed {}]);
        let detail = "the balance is 5, it must be 0 to close the account";
        refused(vec![opened(), deposited(5, 5)], CloseAccount {}, "balance_not_zero", detail);
    }

    #[test]
    fn nothing_happens_before_an_account_is_opened_or_after_it_is_closed() {
        for command in [DepositMoney { amount: 1 }, WithdrawMoney { amount: 1 }, CloseAccount {}] {
            refused(vec![], command.clone(), "not_open", "the account has not been opened");
            let closed = vec![opened(), AccountClosed {}];
            refused(closed, command, "account_closed", "the account is closed");
        }
    }

    #[test]
    fn events_are_stored_under_their_tags_and_read_back() {
        let withdrawn = MoneyWithdrawn { amount: 200, balance: 300 };
        check_events::<Account>(&[opened(), deposited(500, 500), withdrawn, AccountClosed {}]);
    }
}
