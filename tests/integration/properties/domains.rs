//! Laws of the shipped aggregates, over every order of commands.

use cqrs_es::event_sink::EventSink;
use futures_util::FutureExt;
use proptest::collection::vec;
use proptest::prelude::*;
use retell::Aggregate;
use retell::commands::{
    Account, AccountCommand, BALANCE_MAX, Message, MessageCommand, TEXT_CHARS_MAX,
};
use retell::events::account::AccountEvent;
use retell::events::message::MessageEvent;

proptest! {
    #[test]
    fn a_balance_is_never_negative_and_never_above_the_limit(commands in account_commands()) {
        let mut account = Account::default();
        for command in commands {
            let _refused_or_not = send(&mut account, command);
            prop_assert!((0..=BALANCE_MAX).contains(&account.balance), "{account:?}");
        }
    }

    #[test]
    fn a_balance_is_what_came_in_less_what_went_out(commands in account_commands()) {
        let mut account = Account::default();
        let mut sum = 0;
        for event in history(&mut account, commands) {
            match event {
                AccountEvent::MoneyDeposited { amount, balance } => {
                    sum += amount;
                    prop_assert_eq!(balance, sum);
                }
                AccountEvent::MoneyWithdrawn { amount, balance } => {
                    sum -= amount;
                    prop_assert_eq!(balance, sum);
                }
                AccountEvent::AccountOpened { .. } | AccountEvent::AccountClosed {} => {}
            }
        }
        prop_assert_eq!(account.balance, sum);
    }

    #[test]
    fn an_account_is_the_fold_of_its_events(commands in account_commands()) {
        let mut account = Account::default();
        let events = history(&mut account, commands);
        prop_assert_eq!(fold::<Account>(events), account);
    }

    #[test]
    fn a_message_is_the_fold_of_its_events(commands in message_commands()) {
        let mut message = Message::default();
        let events = history(&mut message, commands);
        prop_assert_eq!(fold::<Message>(events), message);
    }

    #[test]
    fn a_message_that_gets_the_same_command_twice_has_no_further_event(
        commands in message_commands(),
    ) {
        let once = history(&mut Message::default(), commands.clone());
        let twice = commands.into_iter().flat_map(|command| [command.clone(), command]);
        prop_assert_eq!(history(&mut Message::default(), twice.collect()), once);
    }

    #[test]
    fn a_message_is_produced_at_most_once_and_consumed_at_most_once_after_that(
        commands in message_commands(),
    ) {
        let events = history(&mut Message::default(), commands);
        prop_assert!(events.len() <= 2);
        let produced = |event: &MessageEvent| matches!(event, MessageEvent::MessageProduced { .. });
        prop_assert!(events.iter().position(produced).is_none_or(|at| at == 0), "{events:?}");
        prop_assert!(events.iter().filter(|event| produced(event)).count() == events.len().min(1));
    }

    #[test]
    fn a_refused_command_changes_nothing(commands in account_commands()) {
        let mut account = Account::default();
        for command in commands {
            let before = account.clone();
            if send(&mut account, command).is_err() {
                prop_assert_eq!(&account, &before);
            }
        }
    }
}

fn account_commands() -> impl Strategy<Value = Vec<AccountCommand>> {
    let amount = || {
        prop_oneof![
            8 => -1..200_i64,
            2 => BALANCE_MAX - 200..=BALANCE_MAX + 1,
            1 => any::<i64>(),
        ]
    };
    let command = prop_oneof![
        1 => "[a-z /]{0,3}".prop_map(|owner| AccountCommand::OpenAccount { owner }),
        6 => amount().prop_map(|amount| AccountCommand::DepositMoney { amount }),
        6 => amount().prop_map(|amount| AccountCommand::WithdrawMoney { amount }),
        1 => Just(AccountCommand::CloseAccount {}),
    ];
    // Most histories begin with an open account; some do not.
    let open = prop::option::weighted(0.9, Just(AccountCommand::OpenAccount { owner: "a".into() }));
    (open, vec(command, 0..40)).prop_map(|(open, rest)| open.into_iter().chain(rest).collect())
}

fn message_commands() -> impl Strategy<Value = Vec<MessageCommand>> {
    let text = prop_oneof![
        "[a-z ]{0,3}",
        (TEXT_CHARS_MAX - 1..=TEXT_CHARS_MAX + 1).prop_map(|characters| "x".repeat(characters)),
    ];
    let command = prop_oneof![
        text.prop_map(|text| MessageCommand::ProduceMessage { text }),
        Just(MessageCommand::ConsumeMessage {}),
    ];
    vec(command, 0..8)
}

/// The events of all commands that were not refused.
fn history<A: Aggregate<Services = ()>>(state: &mut A, commands: Vec<A::Command>) -> Vec<A::Event> {
    commands.into_iter().filter_map(|command| send(state, command).ok()).flatten().collect()
}

fn send<A: Aggregate<Services = ()>>(
    state: &mut A,
    command: A::Command,
) -> Result<Vec<A::Event>, A::Error> {
    let sink = EventSink::default();
    let handled = state.handle(command, &(), &sink).now_or_never();
    handled.expect("an aggregate waits for nothing")?;
    Ok(sink.collect().now_or_never().expect("a sink waits for nothing"))
}

fn fold<A: Aggregate>(events: Vec<A::Event>) -> A {
    let mut state = A::default();
    events.into_iter().for_each(|event| state.apply(event));
    state
}
