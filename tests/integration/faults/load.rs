//! Clients that fight over a few accounts until they are stopped.
//!
//! A client that has no answer, or is told that nothing was done, goes on with the next service.
//! With a key it asks until the key has an outcome, and often once more after that.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::task::JoinSet;

use crate::simulation::chance::Chance;
use crate::support::app::Answer;

use super::history::{History, Order, Outcome, Request};

/// The accounts that everybody works on.
pub(super) const ACCOUNTS: [&str; 3] = ["ann", "bob", "cid"];

const CLIENTS: u64 = 8;

/// How long a client waits before it asks again what could not be done.
const PAUSE: Duration = Duration::from_millis(20);

/// How long a key may be without an outcome once all is mended.
const SETTLING_MAX: Duration = Duration::from_secs(30);

/// Clients under way.
pub(super) struct Load {
    client: Client,
    stop: Arc<AtomicBool>,
    clients: JoinSet<()>,
}

/// What every client shares.
#[derive(Clone)]
struct Client {
    history: Arc<History>,
    services: Arc<Mutex<Vec<String>>>,
    http: reqwest::Client,
    chance: Chance,
}

impl Load {
    /// Opens the accounts, and lets the clients begin. `services` are URLs.
    pub(super) async fn start(services: Arc<Mutex<Vec<String>>>, seed: u64) -> Self {
        let http = reqwest::Client::builder().no_proxy().build().expect("client");
        let (history, chance) = (Arc::default(), Chance::new(seed));
        let client = Client { history, services, http, chance };
        for account in ACCOUNTS {
            client.settle(&client.keyed(account, Order::Open)).await;
        }
        let (stop, clients) = (Arc::new(AtomicBool::new(false)), JoinSet::new());
        let mut load = Self { client, stop, clients };
        load.add_clients();
        load
    }

    /// More clients, beside those that may wait for a service that is stopped.
    pub(super) fn add_clients(&mut self) {
        for nth in 0..CLIENTS {
            self.clients.spawn(self.client.clone().work(nth, self.stop.clone()));
        }
    }

    pub(super) fn history(&self) -> &History {
        &self.client.history
    }

    /// Stops the clients once every key has its outcome; then each account takes one more command.
    pub(super) async fn finish(mut self) -> Arc<History> {
        self.stop.store(true, Ordering::Relaxed);
        while let Some(ended) = self.clients.join_next().await {
            ended.expect("no client panics");
        }
        for account in ACCOUNTS {
            self.client.settle(&self.client.keyed(account, Order::Deposit(1))).await;
        }
        self.client.history
    }
}

impl Client {
    async fn work(self, mut service: u64, stop: Arc<AtomicBool>) {
        let mut known = BTreeMap::new();
        while !stop.load(Ordering::Relaxed) {
            let request = self.wish(&known);
            let outcome = match request.key {
                Some(_) => self.settle(&request).await,
                None => self.ask(service, &request).await,
            };
            match outcome {
                Outcome::Done { version, .. } | Outcome::Differs { current: version } => {
                    known.insert(request.account, version);
                }
                Outcome::NotDone { .. } | Outcome::Unknown => {
                    service += 1;
                    tokio::time::sleep(PAUSE).await;
                }
                Outcome::Refused { .. } | Outcome::Wrong { .. } => {}
            }
        }
    }

    /// The next thing that a client wants.
    fn wish(&self, known: &BTreeMap<String, u64>) -> Request {
        let chance = &self.chance;
        let amount = 1 + i64::try_from(chance.below(9)).expect("small");
        let order = match chance.below(20) {
            0..9 => Order::Deposit(amount),
            9..15 => Order::Withdraw(amount),
            15..18 => Order::Withdraw(1_000_000 + amount),
            18 => Order::Open,
            _ => Order::Withdraw(50 * amount),
        };
        let account = chance.pick(&ACCOUNTS);
        let mut request = self.keyed(account, order);
        if !chance.one_in(3) {
            request.key = None;
        }
        if chance.one_in(4) {
            request.expected = known.get(&request.account).copied();
        }
        request
    }

    fn keyed(&self, account: &str, order: Order) -> Request {
        let key = Some(format!("key-{:016x}", self.chance.next()));
        Request { account: account.to_owned(), order, key, expected: None }
    }

    /// Asks until there is an outcome, or the version that was expected has gone; sometimes again.
    async fn settle(&self, request: &Request) -> Outcome {
        let settling = async {
            loop {
                let outcome = self.ask(self.chance.next(), request).await;
                let is_over = outcome.is_final() || matches!(outcome, Outcome::Differs { .. });
                if is_over && !self.chance.one_in(3) {
                    return outcome;
                }
                if !is_over {
                    tokio::time::sleep(PAUSE).await;
                }
            }
        };
        let settled = tokio::time::timeout(SETTLING_MAX, settling).await;
        settled.unwrap_or_else(|_| panic!("there is no outcome of {request:?}"))
    }

    async fn ask(&self, service: u64, request: &Request) -> Outcome {
        let id = self.history.begin(request);
        let outcome = Outcome::of(self.send(service, &id, request).await.as_ref());
        self.history.end(&id, outcome.clone());
        outcome
    }

    async fn send(&self, service: u64, id: &str, request: &Request) -> Option<Answer> {
        let url = {
            let services = self.services.lock().expect("no panic while it is held");
            let nth = usize::try_from(service % services.len() as u64).expect("few");
            format!("{}/commands/account/{}", services[nth], request.account)
        };
        let mut post = self.http.post(url).json(&request.order.json());
        post = post.header("X-Correlation-Id", id);
        if let Some(key) = &request.key {
            post = post.header("Idempotency-Key", key);
        }
        if let Some(version) = request.expected {
            post = post.header("If-Match", format!("\"{version}\""));
        }
        let response = post.send().await.ok()?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Some(Answer { status, headers, body: response.bytes().await.ok()? })
    }
}
