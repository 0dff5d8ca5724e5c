//! The shipped application without a door, on any log and any store.

use std::sync::Arc;
use std::time::Duration;

use retell::app::App;
use retell::commands::{Account, AccountCommand, Message, MessageCommand};
use retell::config::Config;
use retell::ports::{EventLog, ViewStore};
use retell::projections::{AccountView, Accounts};
use retell::read::{
    ReplayError, ReplayOptions, ReplayState, ReplayStatus, VerificationState, VerificationStatus,
};
use retell::write::{Done, SendOptions};
use retell::{Key, Positions};
use serde_json::Value;
use uuid::Uuid;

use super::writers::PATIENCE;

/// The shipped application.
pub(crate) struct Shipped(pub(crate) App);

impl Shipped {
    pub(crate) async fn start(log: Arc<dyn EventLog>, store: Arc<dyn ViewStore>) -> Self {
        Self::start_with(log, store, Config::defaults()).await
    }

    pub(crate) async fn start_with(
        log: Arc<dyn EventLog>,
        store: Arc<dyn ViewStore>,
        config: Config,
    ) -> Self {
        let app = App::builder(config).log(log).store(store).shipped().build().await;
        Self(app.expect("the shipped application"))
    }

    /// Sends a command, again and again while the service says that nothing was done.
    pub(crate) async fn account(&self, id: &str, command: AccountCommand) -> Done {
        let send =
            || self.0.commands().send::<Account>(id, command.clone(), SendOptions::default());
        let sending = async {
            loop {
                match send().await {
                    Ok(done) => return done,
                    Err(error) => drop(error),
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(PATIENCE, sending).await.expect("a command is done in time")
    }

    pub(crate) async fn open(&self, id: &str, owner: &str) -> Done {
        self.account(id, AccountCommand::OpenAccount { owner: owner.to_owned() }).await
    }

    pub(crate) async fn deposit(&self, id: &str, amount: i64) -> Done {
        self.account(id, AccountCommand::DepositMoney { amount }).await
    }

    pub(crate) async fn produce(&self, id: &str, text: &str) -> Done {
        let command = MessageCommand::ProduceMessage { text: text.to_owned() };
        let sent = self.0.commands().send::<Message>(id, command, SendOptions::default());
        sent.await.expect("produced")
    }

    /// The account's view as of this command.
    pub(crate) async fn view(&self, id: &str, after: &Done) -> AccountView {
        let view = self.0.view::<Accounts>(id, after.position).await.expect("a view in time");
        view.expect("a view of what was opened")
    }

    /// The bytes of a view, once they are at least as of these positions.
    pub(crate) async fn bytes(&self, projection: &str, key: &str, after: &Positions) -> Vec<u8> {
        let key = Key::new(key).expect("key");
        let found = self.0.views().get(projection, &key, after, PATIENCE).await;
        found.unwrap_or_else(|error| panic!("{projection}/{key}: {error}")).view.to_vec()
    }

    /// A merged view, once it is at least as of these positions.
    pub(crate) async fn totals(&self, after: &Positions) -> Value {
        let bytes = self.bytes("account-totals", "all", after).await;
        serde_json::from_slice(&bytes).expect("JSON")
    }

    /// The generation that queries read, once there is one that `is` likes.
    pub(crate) async fn generation(&self, projection: &str, is: impl Fn(Uuid) -> bool) -> Uuid {
        let looking = async {
            loop {
                let list = self.0.views().list();
                let info = list.iter().find(|info| info.name == projection).expect("projection");
                if let Some(generation) = info.generation.filter(|&generation| is(generation)) {
                    return generation;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(PATIENCE, looking).await.expect("a live generation in time")
    }

    /// Replays one projection, or all, and waits for the end.
    pub(crate) async fn replay(&self, projection: Option<&str>) -> ReplayStatus {
        self.replay_with(projection, ReplayOptions::default()).await
    }

    pub(crate) async fn replay_with(
        &self,
        projection: Option<&str>,
        options: ReplayOptions,
    ) -> ReplayStatus {
        loop {
            match self.0.replays().start(projection, options) {
                Ok(id) => return self.ended(id).await,
                // A first generation that is being built is one that is replayed.
                Err(ReplayError::Running(id)) => drop(self.ended(id).await),
                Err(error) => panic!("not started: {error}"),
            }
        }
    }

    /// Verifies one projection, or all, and waits for what is found.
    pub(crate) async fn verify(&self, projection: Option<&str>) -> VerificationStatus {
        let id = self.0.verifications().start(projection).expect("started");
        self.verified(id).await
    }

    pub(crate) async fn verified(&self, id: Uuid) -> VerificationStatus {
        let waiting = async {
            loop {
                let status = self.0.verifications().get(id).expect("it is remembered");
                if status.state != VerificationState::Running {
                    return status;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(PATIENCE, waiting).await.expect("a verification ends in time")
    }

    pub(crate) async fn ended(&self, id: Uuid) -> ReplayStatus {
        let waiting = async {
            loop {
                let status = self.0.replays().get(id).expect("it is remembered");
                if status.state != ReplayState::Running {
                    return status;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(PATIENCE, waiting).await.expect("a replay ends in time")
    }
}
