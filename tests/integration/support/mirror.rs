//! A policy over accounts: what is paid into `ann` is paid into `ann.mirror`, too. It stumbles over
//! the amounts that it is told to, as a faulty binary would.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use retell::adapters::SystemClock;
use retell::adapters::memory::{MemoryBookmarks, MemoryLog, MemoryViews};
use retell::app::App;
use retell::commands::{Account, AccountCommand};
use retell::config::Config;
use retell::events::Commit;
use retell::events::account::AccountEvent;
use retell::log::{Mark, Tracker};
use retell::ports::{Bookmarks, Clock, EventLog};
use retell::projections::Accounts;
use retell::react::policies::{PolicyState, PolicyStatus};
use retell::{Instruction, Offset, Policy, Recorded, Sources, Start};

use super::log::in_time;
use super::shipped::Shipped;
use super::writers::{PATIENCE, partitions};

/// What the policy stumbles over; shared by all that are made of it.
#[derive(Clone, Default)]
pub(crate) struct Mirror(Arc<Mutex<BTreeSet<i64>>>);

/// The same, from the first event of all.
pub(crate) struct MirrorOfAll(pub(crate) Mirror);

impl Mirror {
    pub(crate) fn trap(&self, amount: i64) {
        self.0.lock().expect("no panic").insert(amount);
    }

    pub(crate) fn mend(&self) {
        self.0.lock().expect("no panic").clear();
    }

    fn spring(&self, amount: i64) {
        let is_set = self.0.lock().expect("no panic").contains(&amount);
        assert!(!is_set, "{amount} on purpose");
    }
}

impl Policy for Mirror {
    const NAME: &'static str = "mirror";

    fn sources(&self) -> Sources {
        Sources::default().and::<Account>()
    }

    fn react(&self, recorded: &Recorded<'_>) -> Vec<Instruction> {
        if recorded.id().ends_with(".mirror") {
            return Vec::new();
        }
        let to = |command| {
            vec![Instruction::to::<Account>(format!("{}.mirror", recorded.id()), &command)]
        };
        match recorded.event::<Account>() {
            Some(AccountEvent::AccountOpened { owner }) => {
                to(AccountCommand::OpenAccount { owner: owner.clone() })
            }
            Some(&AccountEvent::MoneyDeposited { amount, .. }) => {
                self.spring(amount);
                to(AccountCommand::DepositMoney { amount })
            }
            _ => Vec::new(),
        }
    }
}

impl Policy for MirrorOfAll {
    const NAME: &'static str = Mirror::NAME;
    const START: Start = Start::Beginning;

    fn sources(&self) -> Sources {
        self.0.sources()
    }

    fn react(&self, recorded: &Recorded<'_>) -> Vec<Instruction> {
        self.0.react(recorded)
    }
}

/// What outlives an application.
#[derive(Clone)]
pub(crate) struct World {
    pub(crate) log: Arc<MemoryLog>,
    pub(crate) store: Arc<MemoryViews>,
    pub(crate) bookmarks: Arc<MemoryBookmarks>,
    pub(crate) clock: Arc<dyn Clock>,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with_clock(Arc::new(SystemClock))
    }

    pub(crate) fn with_clock(clock: Arc<dyn Clock>) -> Self {
        Self {
            log: Arc::new(MemoryLog::new(partitions(4), clock.clone())),
            store: Arc::new(MemoryViews::new(clock.clone())),
            bookmarks: Arc::default(),
            clock,
        }
    }

    /// The same log without anything that was derived from it.
    pub(crate) fn with_empty_store(&self) -> Self {
        Self { store: Arc::new(MemoryViews::new(self.clock.clone())), ..self.clone() }
    }

    /// The account with this policy, with settings that retry at once.
    pub(crate) async fn start(&self, policy: impl Policy) -> Shipped {
        let mut config = Config::defaults();
        config.policies.retry_delay = Duration::from_millis(5);
        config.policies.retry_delay_max = Duration::from_millis(20);
        config.policies.bookmark_interval = Duration::from_millis(1);
        config.queries.wait_default = PATIENCE;
        Shipped(self.builder(config).policy(policy).build().await.expect("an application"))
    }

    /// The account without any.
    pub(crate) async fn start_without_policies(&self) -> Shipped {
        Shipped(self.builder(Config::defaults()).build().await.expect("an application"))
    }

    pub(crate) fn builder(&self, config: Config) -> retell::app::AppBuilder {
        App::builder(config)
            .log(self.log.clone())
            .store(self.store.clone())
            .bookmarks(self.bookmarks.clone() as Arc<dyn Bookmarks>)
            .clock(self.clock.clone())
            .aggregate::<Account>(())
            .projection(Accounts)
    }

    /// The records that count and were issued by a policy: how many each command id has.
    pub(crate) async fn issued(&self) -> BTreeMap<String, usize> {
        let mut issued = BTreeMap::new();
        for partition in self.log.partitions().iter() {
            let mut reader = self.log.reader(partition, Offset(0)).await.expect("a reader");
            let mut tracker = Tracker::default();
            loop {
                let chunk = reader.next(1_000, 1 << 20).await.expect("a chunk");
                for record in &chunk.records {
                    let (at, time) = (record.offset, record.time);
                    if tracker.step(at, time, &record.stamp, &record.value) == Mark::Counts {
                        let commit = Commit::decode(&record.value).expect("a commit");
                        if commit.command_id.starts_with("policy:mirror:") {
                            *issued.entry(commit.command_id.into_owned()).or_default() += 1;
                        }
                    }
                }
                if chunk.at_end {
                    break;
                }
            }
        }
        issued
    }

    /// Waits until so many commands were issued.
    pub(crate) async fn until_issued(&self, commands: usize) {
        let issuing = async {
            while self.issued().await.len() < commands {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        in_time("the commands of the policy", issuing).await;
    }

    /// Checks that so many commands were issued, each once.
    pub(crate) async fn check_issued(&self, commands: usize) {
        let issued = self.issued().await;
        let twice: Vec<_> = issued.iter().filter(|(_, count)| **count != 1).collect();
        assert!(twice.is_empty(), "issued more than once: {twice:?}");
        assert_eq!(issued.len(), commands);
    }
}

/// Waits until the mirror of an account has this balance.
pub(crate) async fn mirrored(app: &Shipped, id: &str, balance: i64) {
    let id = format!("{id}.mirror");
    let looking = async {
        loop {
            let view = app.0.view::<Accounts>(&id, retell::Positions::default()).await;
            if view.is_ok_and(|view| view.is_some_and(|view| view.balance == balance)) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    let status = || serde_json::to_string(&app.0.policies().list()).expect("JSON");
    let looked = tokio::time::timeout(PATIENCE, looking).await;
    looked.unwrap_or_else(|_| panic!("{id} never had {balance}: {}", status()));
}

/// Waits until the policy says of itself what `is` likes, in some partition.
pub(crate) async fn policy_is(app: &Shipped, is: impl Fn(&PolicyState) -> bool) {
    let looking = async {
        loop {
            let all: Vec<PolicyStatus> = app.0.policies().list();
            if all.iter().flat_map(|it| &it.partitions).any(|it| is(&it.state)) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(PATIENCE, looking).await.expect("it says so in time");
}
