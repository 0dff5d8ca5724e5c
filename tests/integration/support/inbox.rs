//! An inbox on topics in memory.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use retell::adapters::SystemClock;
use retell::adapters::memory::MemoryTopic;
use retell::http::InboxWording;
use retell::ports::{Message, PlainTopic};
use retell::react::inbox::{Inbox, InboxParts, InboxStatus};
use retell::shutdown::Shutdown;
use retell::write::Commands;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::log::{P0, P1, in_time};
use super::writers::partitions;

/// A topic of commands and one of their answers.
pub(crate) struct Desk {
    pub(crate) commands: MemoryTopic,
    pub(crate) results: MemoryTopic,
}

/// A running inbox; dropping it is a crash.
pub(crate) struct Running {
    inbox: Inbox,
    stop: Shutdown,
    tasks: JoinSet<()>,
}

impl Desk {
    pub(crate) fn new() -> Self {
        let topic = |name: &str| MemoryTopic::new(name, partitions(2), Arc::new(SystemClock));
        Self { commands: topic("commands"), results: topic("results") }
    }

    pub(crate) fn open(&self, commands: &Commands) -> Running {
        self.open_with(commands, Arc::new(self.results.clone()))
    }

    pub(crate) fn open_with(&self, commands: &Commands, results: Arc<dyn PlainTopic>) -> Running {
        let parts = InboxParts {
            commands: commands.clone(),
            topic: Arc::new(self.commands.clone()),
            results,
            wording: Arc::new(InboxWording),
            group: "retell".to_owned(),
            in_flight_max: 16,
        };
        let (stop, mut tasks) = (Shutdown::default(), JoinSet::new());
        Running { inbox: Inbox::start(parts, &stop, &mut tasks), stop, tasks }
    }

    pub(crate) async fn put(&self, values: &[&[u8]]) {
        let message =
            |value: &&[u8]| Message { value: Bytes::copy_from_slice(value), ..Message::default() };
        let messages = values.iter().map(|value| (P0, message(value))).collect();
        self.commands.send(messages).await.expect("sent");
    }

    pub(crate) async fn put_json(&self, values: &[Value]) {
        let values: Vec<_> = values.iter().map(|value| value.to_string().into_bytes()).collect();
        self.put(&values.iter().map(Vec::as_slice).collect::<Vec<_>>()).await;
    }

    /// Every answer, by the key of its message.
    pub(crate) fn answers(&self) -> Vec<(String, Value)> {
        let messages = [P0, P1].map(|partition| self.results.messages(partition)).concat();
        let answer = |message: &Message| {
            let key = message.key.as_deref().expect("a key");
            let json = serde_json::from_slice(&message.value).expect("JSON");
            (String::from_utf8(key.to_vec()).expect("text"), json)
        };
        messages.iter().map(|received| answer(&received.message)).collect()
    }

    pub(crate) fn answer(&self, key: &str) -> Value {
        let mut all = self.answers();
        all.retain(|(found, _)| found == key);
        assert_eq!(all.len(), 1, "{key}: {all:?}");
        all.swap_remove(0).1
    }
}

impl Running {
    pub(crate) async fn eventually(&self, is: impl Fn(&InboxStatus) -> bool) -> InboxStatus {
        let asking = async {
            loop {
                let status = self.inbox.status();
                if is(&status) {
                    return status;
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        in_time("the inbox", asking).await
    }

    pub(crate) async fn answered(&self, count: u64) -> InboxStatus {
        self.eventually(|status| status.answered >= count && status.in_flight == 0).await
    }

    pub(crate) async fn end(mut self) {
        self.stop.request();
        while let Some(ended) = self.tasks.join_next().await {
            ended.expect("no panic");
        }
    }
}

pub(crate) fn envelope(id: &str, command: &Value, key: Option<&str>) -> Value {
    let mut envelope = json!({"aggregate": {"type": "account", "id": id}, "command": command});
    if let Some(key) = key {
        envelope["key"] = key.into();
    }
    envelope
}

pub(crate) fn open(id: &str, key: &str) -> Value {
    envelope(id, &json!({"type": "OpenAccount", "owner": "Ann"}), Some(key))
}

pub(crate) fn deposit(id: &str, amount: i64, key: Option<&str>) -> Value {
    envelope(id, &json!({"type": "DepositMoney", "amount": amount}), key)
}
