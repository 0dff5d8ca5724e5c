//! Rows: commands for one counter that are sent one behind the other, each with its turn.

use std::sync::atomic::Ordering;

use bytes::Bytes;
use retell::Key;
use retell::events::CommandId;
use retell::write::{CommandError, FullPartitions, SendOptions, Turns};
use serde_json::Value;
use tokio::time::Instant;

use super::calls::{Call, Callers};
use super::counter::CounterCommand;
use super::node::Node;

impl Callers {
    /// Sends a row without waiting for its answers. Its ids never come again.
    pub(super) fn send_row(&self, node: &Node, counter: &str, row: Vec<(String, CounterCommand)>) {
        let ids = row.iter().map(|(id, _)| id.clone()).collect();
        self.0.rows.lock().expect("no panic while it is held").push(ids);
        self.0.world.count("in a row");
        let (callers, commands) = (self.clone(), node.commands.clone());
        let (node, counter) = (node.name.clone(), counter.to_owned());
        self.0.open.fetch_add(1, Ordering::SeqCst);
        tokio::spawn(async move {
            let key = Key::new(&counter).expect("a key");
            let (mut turns, mut full) = (Turns::default(), FullPartitions::default());
            let mut row_sent = Vec::new();
            for (id, command) in row {
                let begun = Instant::now();
                let options = SendOptions {
                    command_id: Some(CommandId::from_client(&id).expect("an id")),
                    repeatable: true,
                    turn: Some(turns.issue()),
                    ..SendOptions::default()
                };
                let json = on_the_wire(command);
                let sent = commands.enqueue("counter", &key, json, options, &mut full).await;
                let (node, counter, repeatable) = (node.clone(), counter.clone(), true);
                row_sent.push((Call { node, counter, command, id, repeatable, begun }, sent));
            }
            for (call, sent) in row_sent {
                let answer = match sent {
                    Ok(sent) => sent.outcome().await,
                    Err(failure) => Err(CommandError::Failed(failure)),
                };
                let own = |error: CommandError| {
                    error.map(|error| *error.downcast().expect("the counter's own"))
                };
                callers.0.judge(&call, &answer.map_err(own));
            }
            callers.0.open.fetch_sub(1, Ordering::SeqCst);
        });
    }

    /// What is in the log of a row is its beginning, in its order.
    pub(super) fn check_rows(&self) {
        let truth = self.0.world.truth();
        let rows = self.0.rows.lock().expect("no panic while it is held");
        let broken = rows.iter().find(|row| {
            let places: Vec<_> = row.iter().map(|id| truth.commit_of(id)).collect();
            let in_log = places.iter().take_while(|place| place.is_some()).count();
            !places[..in_log].is_sorted() || places[in_log..].iter().any(Option::is_some)
        });
        let broken = broken.cloned();
        drop((truth, rows));
        if let Some(row) = broken {
            self.0.world.violate(&format!("the row {row:?} has lost its order"));
        }
    }
}

fn on_the_wire(command: CounterCommand) -> Bytes {
    let Ok(Value::Object(tagged)) = serde_json::to_value(command) else { panic!("{command:?}") };
    let Some((name, Value::Object(mut fields))) = tagged.into_iter().next() else {
        panic!("{command:?}")
    };
    fields.insert("type".to_owned(), name.into());
    Value::Object(fields).to_string().into()
}
