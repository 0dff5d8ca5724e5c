//! A topic of its own, services on it, and clients at work: what a fault happens to.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use retell::config::KafkaAddress;
use uuid::Uuid;

use crate::support::app::Answer;
use crate::support::process::Process;

use super::checker::violations;
use super::history::{Call, Outcome};
use super::ledger::Ledger;
use super::load::{ACCOUNTS, Load};
use super::topic::Topic;

/// Faster than the defaults, so that a test sees the end of a fault soon; and less memory than
/// accounts, so that states are read from the store and not only written.
const SETTINGS: [(&str, &str); 4] = [
    ("RETELL_HTTP__REQUEST_TIMEOUT_MS", "2000"),
    ("RETELL_LOG__KAFKA__MESSAGE_TIMEOUT_MS", "1500"),
    ("RETELL_WRITE__COMMIT_INTERVAL_MS", "50"),
    ("RETELL_WRITE__CACHED_AGGREGATES_MAX", "2"),
];

/// How long the calls may take that a test waits for.
const WAIT_MAX: Duration = Duration::from_secs(30);

pub(super) struct Scene {
    address: KafkaAddress,
    redis: String,
    pub(super) services: Vec<Process>,
    urls: Arc<Mutex<Vec<String>>>,
    load: Load,
}

/// How often clients were answered what, in a history that broke no law.
pub(super) type Counts = BTreeMap<&'static str, u64>;

impl Scene {
    /// One service, and clients that have begun.
    pub(super) async fn start(brokers: &str, redis: &str) -> Self {
        let topic = format!("test-{}", Uuid::now_v7());
        let address = KafkaAddress { brokers: brokers.to_owned(), topic };
        let seed = rand::random();
        println!("the clients' seed is {seed}");
        let first = launch(&address, redis).await;
        let urls = Arc::new(Mutex::new(vec![first.url().to_owned()]));
        let load = Load::start(urls.clone(), seed).await;
        let scene = Self { address, redis: redis.to_owned(), services: vec![first], urls, load };
        scene.answers(60, Outcome::is_final).await;
        scene
    }

    /// The last service is stopped, with the calls that it has; another one on the same topic and
    /// the same views takes over, and has clients of its own.
    pub(super) async fn succeed(&mut self) {
        self.services.last().expect("there is one").pause();
        let service = launch(&self.address, &self.redis).await;
        *self.urls.lock().expect("no panic while it is held") = vec![service.url().to_owned()];
        self.services.push(service);
        self.load.add_clients();
    }

    /// The one before the last goes on and does not know that it was deposed; clients use both.
    pub(super) fn wake_zombie(&self) {
        let zombie = &self.services[self.services.len() - 2];
        zombie.resume();
        self.urls.lock().expect("no panic while it is held").push(zombie.url().to_owned());
    }

    /// kill -9, and the same service again.
    pub(super) async fn kill_and_restart(&mut self) {
        let service = self.services.last_mut().expect("there is one");
        service.kill();
        service.spawn();
        service.wait_ready().await;
    }

    /// Waits for so many more answers of a kind.
    pub(super) async fn answers(&self, count: usize, is: impl Fn(&Outcome) -> bool) {
        let now = || {
            let calls = self.load.history().calls();
            calls.iter().filter(|call| call.ended.is_some() && is(&call.outcome)).count()
        };
        let enough = now() + count;
        let waiting = async {
            while now() < enough {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(WAIT_MAX, waiting).await.expect("the answers come in time");
    }

    /// Lets the clients finish, and checks everything that they were told.
    pub(super) async fn prove(self) -> Counts {
        let history = self.load.finish().await;
        let calls = history.calls();
        let topic = Topic::read(&self.address).await;
        let broken = violations(&calls, &topic);
        let first = broken.iter().take(5).cloned().collect::<Vec<_>>().join("\n");
        assert!(
            broken.is_empty(),
            "{} violations, of {} calls:\n{first}",
            broken.len(),
            calls.len()
        );
        let ledger = Ledger::of(&topic);
        assert_eq!(ledger.accounts().count(), ACCOUNTS.len());
        for service in &self.services {
            assert_views(service, &ledger).await;
        }
        let counts = count(&calls);
        println!("{} calls: {counts:?}", calls.len());
        counts
    }
}

async fn launch(address: &KafkaAddress, redis: &str) -> Process {
    let KafkaAddress { brokers, topic } = address;
    Process::start_with(brokers, topic, redis, &SETTINGS).await.ready().await
}

/// The views show what the log says, and nothing else: each account, and their total.
async fn assert_views(service: &Process, ledger: &Ledger) {
    let mut total = 0;
    for (account, states) in ledger.accounts() {
        let (version, balance) = (states.len() - 1, states[states.len() - 1].balance);
        total += balance;
        let is_whole = |answer: &Answer| {
            let view = || answer.json();
            answer.status == 200 && view()["version"] == version && view()["balance"] == balance
        };
        service.eventually(&format!("/projections/accounts/{account}"), is_whole).await;
    }
    let is_total = |answer: &Answer| answer.status == 200 && answer.json()["balance"] == total;
    service.eventually("/projections/account-totals/all", is_total).await;
}

fn count(calls: &[Call]) -> Counts {
    let mut counts = Counts::new();
    for call in calls {
        let what = match &call.outcome {
            Outcome::Done { replayed: true, .. } => "done before",
            Outcome::Done { .. } => "done",
            Outcome::Refused { replayed: true, .. } => "refused before",
            Outcome::Refused { .. } => "refused",
            Outcome::Differs { .. } => "another version",
            Outcome::NotDone { .. } => "not done",
            Outcome::Unknown => "unknown",
            Outcome::Wrong { .. } => "wrong",
        };
        *counts.entry(what).or_default() += 1;
    }
    counts
}
