//! The state at a version is the fold of the events up to it, whatever the history.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use retell::adapters::SystemClock;
use retell::adapters::memory::{MemoryLog, MemoryViews};
use retell::commands::{Account, AccountCommand};
use retell::config::Config;
use retell::events::{Commit, decode};
use retell::write::{Done, SendOptions};
use retell::{Positions, Version};

use crate::support::app::TestApp;
use crate::support::shipped::Shipped;
use crate::support::writers::partitions;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    #[test]
    fn the_state_at_a_version_is_the_fold_of_the_first_events(
        commands in vec((0..4_u8, command()), 1..60),
        lanes in 1..4_u32,
    ) {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        runtime.block_on(check(commands, lanes))?;
    }
}

fn command() -> impl Strategy<Value = AccountCommand> {
    prop_oneof![
        2 => Just(AccountCommand::OpenAccount { owner: "Ann".to_owned() }),
        5 => (1..50_i64).prop_map(|amount| AccountCommand::DepositMoney { amount }),
        4 => (1..90_i64).prop_map(|amount| AccountCommand::WithdrawMoney { amount }),
        1 => Just(AccountCommand::CloseAccount {}),
    ]
}

async fn check(commands: Vec<(u8, AccountCommand)>, lanes: u32) -> Result<(), TestCaseError> {
    let log = Arc::new(MemoryLog::new(partitions(lanes), Arc::new(SystemClock)));
    let store = Arc::new(MemoryViews::new(Arc::new(SystemClock)));
    let app = Shipped::start_with(log, store, Config::defaults()).await;
    app.0.ready().await;
    let mut states: BTreeMap<u8, Vec<Account>> = BTreeMap::new();
    let mut last: BTreeMap<u8, Done> = BTreeMap::new();
    for (id, command) in commands {
        let name = format!("a{id}");
        let sent = app.0.commands().send::<Account>(&name, command, SendOptions::default());
        let Ok(done) = sent.await else { continue };
        let history = states.entry(id).or_insert_with(|| vec![Account::default()]);
        for event in &done.events {
            let mut state = history[history.len() - 1].clone();
            cqrs_es::Aggregate::apply(&mut state, decode::<Account>(event).expect("an event"));
            history.push(state);
        }
        last.insert(id, done);
    }
    let mut positions = Positions::default();
    for (id, done) in &last {
        positions.add(done.position);
        let wait = Duration::from_secs(20);
        let home = done.position.partition;
        let known = app.0.views().aggregate(&done.target, home, &done.position.into(), wait).await;
        let known = known.expect("known");
        prop_assert_eq!(known.version(), done.version);
        let mut commits = known.commits(Version(1), done.version);
        let mut version = 0;
        loop {
            let records = commits.next().await.expect("records");
            if records.is_empty() {
                break;
            }
            for record in records {
                let commit = Commit::decode(&record.value).expect("a commit");
                prop_assert_eq!(commit.first_version, Version(version + 1));
                version += commit.events.len() as u64;
            }
        }
        prop_assert_eq!(version + 1, states[id].len() as u64);
    }
    let app = TestApp::serve(app.0, Arc::default()).await;
    for (id, states) in &states {
        for (version, state) in states.iter().enumerate().skip(1) {
            let path = format!("/aggregates/account/a{id}?version={version}");
            let found = app.get(&path).await.ok().json();
            let wanted = serde_json::to_value(state).expect("JSON");
            prop_assert_eq!(&found["state"], &wanted, "a{} at {}", id, version);
        }
    }
    app.stop().await.expect("stopped");
    Ok(())
}
