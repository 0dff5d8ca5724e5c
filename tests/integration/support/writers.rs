//! A write loop alone on a log, without a door and without views.

use std::sync::Arc;
use std::time::Duration;

use retell::adapters::SystemClock;
use retell::adapters::memory::MemoryViews;
use retell::commands::{Account, AccountCommand, AccountError};
use retell::config::{Config, WriteConfig};
use retell::events::CommandId;
use retell::gate::{Gate, GateState};
use retell::log::{Checks, Partitions};
use retell::ports::{EventLog, Ids, Tails, ViewStore};
use retell::shutdown::Shutdown;
use retell::write::{
    AnyKind, CommandError, Commands, Done, Identity, Kind, Kinds, Ownership, SendOptions,
    WriteParts, WriterStatus,
};
use retell::{Aggregate, Name};
use tokio::task::JoinSet;

/// How long a test waits for what must happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A process that writes.
pub(crate) struct Writers {
    pub(crate) commands: Commands,
    stop: Shutdown,
    tasks: JoinSet<()>,
}

/// The kind of an aggregate without services.
pub(crate) fn kind<A: Aggregate<Services = ()>>(ids: &Ids) -> Arc<dyn AnyKind> {
    Arc::new(Kind::<A>::new(
        Name::new(<A as cqrs_es::Aggregate>::TYPE).expect("name"),
        (),
        ids.clone(),
    ))
}

/// The options of a command with an Idempotency-Key.
pub(crate) fn repeatable(key: &str) -> SendOptions {
    let command_id = Some(CommandId::from_client(key).expect("a key"));
    SendOptions { command_id, repeatable: true, ..SendOptions::default() }
}

/// The default settings of the write loop.
pub(crate) fn write_config() -> WriteConfig {
    Config::defaults().write
}

pub(crate) fn partitions(count: u32) -> Partitions {
    Partitions::new(count).expect("at least one")
}

impl Writers {
    /// A process that writes accounts.
    pub(crate) fn start(log: Arc<dyn EventLog>, node: &str) -> Self {
        Self::start_with(log, node, write_config(), |ids| vec![kind::<Account>(ids)])
    }

    pub(crate) fn start_with(
        log: Arc<dyn EventLog>,
        node: &str,
        config: WriteConfig,
        kinds: impl FnOnce(&Ids) -> Vec<Arc<dyn AnyKind>>,
    ) -> Self {
        let store = Arc::new(MemoryViews::new(Arc::new(SystemClock)));
        Self::start_on(log, store, node, config, kinds)
    }

    /// A process that finds and leaves states in this store.
    pub(crate) fn start_on(
        log: Arc<dyn EventLog>,
        store: Arc<dyn ViewStore>,
        node: &str,
        config: WriteConfig,
        kinds: impl FnOnce(&Ids) -> Vec<Arc<dyn AnyKind>>,
    ) -> Self {
        let ids = Ids::new(Arc::new(SystemClock));
        let mut all = Kinds::default();
        kinds(&ids).into_iter().for_each(|kind| all.add(kind).expect("names differ"));
        let gate = Gate::default();
        gate.set(GateState::Open);
        let identity = Identity {
            node: node.to_owned(),
            instance: ids.next(),
            address: String::new(),
            policies: Vec::new(),
        };
        let request_timeout = Duration::from_secs(10);
        let parts = WriteParts {
            log,
            gate: gate.clone(),
            store,
            store_gate: gate,
            kinds: all,
            ids,
            identity,
            config,
            request_timeout,
            tails: Tails::default(),
            checks: Checks::default(),
        };
        let (stop, mut tasks) = (Shutdown::default(), JoinSet::new());
        let commands = Commands::start(parts, &stop, &mut tasks);
        Self { commands, stop, tasks }
    }

    /// Waits until every partition is as wanted.
    pub(crate) async fn wait(&self, what: &str, wanted: impl Fn(&Ownership) -> bool) {
        let waiting = async {
            while !self.commands.status().iter().all(|status| wanted(&status.ownership)) {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        if tokio::time::timeout(PATIENCE, waiting).await.is_err() {
            panic!("never {what}: {:?}", self.commands.status());
        }
    }

    /// Waits until the writer of the only partition is as wanted.
    pub(crate) async fn until(&self, what: &str, wanted: impl Fn(&WriterStatus) -> bool) {
        let status = || self.commands.status().remove(0);
        let waiting = async {
            while !wanted(&status()) {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        if tokio::time::timeout(PATIENCE, waiting).await.is_err() {
            panic!("never {what}: {:?}", status());
        }
    }

    pub(crate) async fn owner(self) -> Self {
        self.wait("owner", Ownership::is_owner).await;
        self
    }

    pub(crate) async fn account(
        &self,
        id: &str,
        command: AccountCommand,
    ) -> Result<Done, CommandError<AccountError>> {
        self.commands.send::<Account>(id, command, SendOptions::default()).await
    }

    /// Sends a command under an id that may come again.
    pub(crate) async fn keyed(
        &self,
        id: &str,
        command: AccountCommand,
        key: &str,
    ) -> Result<Done, CommandError<AccountError>> {
        self.commands.send::<Account>(id, command, repeatable(key)).await
    }

    pub(crate) async fn open(&self, id: &str) -> Done {
        let owner = "Ann".to_owned();
        self.account(id, AccountCommand::OpenAccount { owner }).await.expect("opened")
    }

    pub(crate) async fn deposit(
        &self,
        id: &str,
        amount: i64,
    ) -> Result<Done, CommandError<AccountError>> {
        self.account(id, AccountCommand::DepositMoney { amount }).await
    }

    /// Settles what is in flight and ends.
    pub(crate) async fn stop(mut self) {
        self.stop.request();
        while let Some(ended) = self.tasks.join_next().await {
            ended.expect("no writer panics");
        }
    }
}
