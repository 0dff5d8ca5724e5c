//! The service as a process of its own, which a test may kill.

use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;
use uuid::Uuid;

use super::app::Answer;
use super::command_line::{Ended, retell};
use super::writers::PATIENCE;

/// `retell serve` with settings of its own.
pub(crate) struct Process {
    settings: Vec<(String, String)>,
    folder: TempDir,
    url: String,
    http: reqwest::Client,
    child: Option<Child>,
}

impl Process {
    /// Starts the service on these servers, on a topic of its own; returns once it is ready.
    pub(crate) async fn start(brokers: &str, redis: &str) -> Self {
        Self::start_on(brokers, &format!("test-{}", Uuid::now_v7()), redis).await.ready().await
    }

    /// Starts the service on this topic; returns at once.
    pub(crate) async fn start_on(brokers: &str, topic: &str, redis: &str) -> Self {
        Self::start_with(brokers, topic, redis, &[]).await
    }

    /// The same with other settings, too.
    pub(crate) async fn start_with(
        brokers: &str,
        topic: &str,
        redis: &str,
        more: &[(&str, &str)],
    ) -> Self {
        let listen = free_address().await;
        let settings = [
            ("RETELL_HTTP__LISTEN", listen.clone()),
            ("RETELL_LOG__URL", format!("kafka://{brokers}/{topic}")),
            ("RETELL_LOG__PARTITIONS", "4".to_owned()),
            ("RETELL_VIEWS__URL", redis.to_owned()),
        ];
        let mut settings = settings.map(|(name, value)| (name.to_owned(), value)).to_vec();
        settings.extend(more.iter().map(|(name, value)| (name.to_string(), value.to_string())));
        let http = reqwest::Client::builder().no_proxy().build().expect("client");
        let folder = tempfile::tempdir().expect("a folder");
        let url = format!("http://{listen}");
        let mut process = Self { settings, folder, url, http, child: None };
        process.spawn();
        process
    }

    /// Starts the service with everything in memory; returns once it is ready.
    pub(crate) async fn start_alone(more: &[(&str, &str)]) -> Self {
        let memory = [("RETELL_LOG__URL", "memory:"), ("RETELL_VIEWS__URL", "memory:")];
        Self::start_with("", "", "", &[&memory[..], more].concat()).await.ready().await
    }

    /// The same with another setting, started again.
    pub(crate) fn restarted_with(mut self, name: &str, value: &str) -> Self {
        self.kill();
        self.settings.push((name.to_owned(), value.to_owned()));
        self.spawn();
        self
    }

    pub(crate) async fn ready(self) -> Self {
        self.wait_ready().await;
        self
    }

    pub(crate) async fn wait_ready(&self) {
        self.eventually("/health/ready", |answer| answer.status == 200).await;
    }

    /// Starts it (again), on the same address.
    pub(crate) fn spawn(&mut self) {
        let log = File::options().create(true).append(true).open(self.log()).expect("a log");
        let mut command = Command::new(env!("CARGO_BIN_EXE_retell"));
        command.arg("serve").current_dir(self.folder.path()).stdin(Stdio::null());
        command.envs(self.settings.iter().cloned());
        command.stdout(log.try_clone().expect("a log")).stderr(log);
        self.child = Some(command.spawn().expect("the binary is built"));
    }

    /// kill -9.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("it runs");
            child.wait().expect("it has ended");
        }
    }

    /// SIGTERM: it ends in order.
    pub(crate) fn terminate(&self) {
        self.signal("TERM");
    }

    /// SIGSTOP: it does nothing, and its connections stay.
    pub(crate) fn pause(&self) {
        self.signal("STOP");
    }

    /// SIGCONT: it goes on and does not know that it was stopped.
    pub(crate) fn resume(&self) {
        self.signal("CONT");
    }

    fn signal(&self, name: &str) {
        let child = self.child.as_ref().expect("it runs");
        let kill = Command::new("kill").args(["-s", name, &child.id().to_string()]).status();
        assert!(kill.expect("kill runs").success(), "kill -s {name}");
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Waits until it ends by itself.
    pub(crate) async fn ended(&mut self) -> (ExitStatus, String) {
        let mut child = self.child.take().expect("it was started");
        let status = tokio::task::spawn_blocking(move || child.wait().expect("its end"));
        let status = tokio::time::timeout(PATIENCE, status).await.expect("it ends in time");
        (status.expect("no panic"), self.said())
    }

    /// What it printed and logged.
    pub(crate) fn said(&self) -> String {
        std::fs::read_to_string(self.log()).expect("a log")
    }

    /// Runs the command line as a client of it.
    pub(crate) async fn cli(&self, arguments: &[&str], input: &str) -> Ended {
        retell(&[arguments, &["--url", &self.url]].concat(), input).await
    }

    pub(crate) async fn open(&self, id: &str, owner: &str) -> Answer {
        self.command(id, &json!({"type": "OpenAccount", "owner": owner})).await
    }

    pub(crate) async fn deposit(&self, id: &str, amount: i64) -> Answer {
        self.command(id, &json!({"type": "DepositMoney", "amount": amount})).await
    }

    pub(crate) async fn command(&self, id: &str, command: &Value) -> Answer {
        self.try_command(id, command).await.expect("an answer")
    }

    /// A command to a service that may be dead.
    pub(crate) async fn try_command(&self, id: &str, command: &Value) -> Option<Answer> {
        self.try_command_to("account", id, command).await
    }

    /// The same to another aggregate.
    pub(crate) async fn try_command_to(
        &self,
        aggregate: &str,
        id: &str,
        command: &Value,
    ) -> Option<Answer> {
        let url = format!("{}/commands/{aggregate}/{id}", self.url);
        read(self.http.post(url).json(command)).await
    }

    pub(crate) async fn get(&self, path: &str) -> Option<Answer> {
        read(self.http.request(Method::GET, format!("{}{path}", self.url))).await
    }

    /// A GET of somebody with a key or a token.
    pub(crate) async fn get_as(&self, bearer: &str, path: &str) -> Answer {
        let request = self.http.get(format!("{}{path}", self.url)).bearer_auth(bearer);
        read(request).await.expect("an answer")
    }

    pub(crate) async fn post(&self, path: &str, json: &Value) -> Answer {
        let request = self.http.post(format!("{}{path}", self.url)).json(json);
        read(request).await.expect("an answer")
    }

    /// One query as of a position, which may wait for as long as a test does.
    pub(crate) async fn query(&self, path: &str, position: &str) -> Option<Answer> {
        let request = self.http.get(format!("{}{path}", self.url));
        read(request.header("Retell-Position", position).header("Prefer", "wait=20")).await
    }

    /// The account's view as of a position, once the service gives it.
    pub(crate) async fn view(&self, id: &str, position: &str) -> Value {
        let url = format!("{}/projections/accounts/{id}", self.url);
        let asking = async {
            loop {
                let request = self.http.get(&url).header("Retell-Position", position);
                match read(request).await {
                    Some(answer) if answer.status == 200 => return answer.json(),
                    _ => tokio::time::sleep(Duration::from_millis(10)).await,
                }
            }
        };
        tokio::time::timeout(PATIENCE, asking).await.expect("the view comes in time")
    }

    /// Asks until the answer is one that `is` likes.
    pub(crate) async fn eventually(&self, path: &str, is: impl Fn(&Answer) -> bool) -> Answer {
        let asking = async {
            loop {
                match self.get(path).await {
                    Some(answer) if is(&answer) => return answer,
                    _ => tokio::time::sleep(Duration::from_millis(10)).await,
                }
            }
        };
        let answer = tokio::time::timeout(2 * PATIENCE, asking).await;
        answer.unwrap_or_else(|_| panic!("{path} never came; the service said:\n{}", self.said()))
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("service.log")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

async fn read(request: reqwest::RequestBuilder) -> Option<Answer> {
    let response = request.send().await.ok()?;
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    Some(Answer { status, headers, body: response.bytes().await.ok()? })
}

/// An address that is free now, and stays the service's over its restarts: below the ports that
/// the system gives to outgoing connections, or one of those might take it while the service is
/// down.
async fn free_address() -> String {
    loop {
        let port = rand::random_range(10_000..32_000_u16);
        if let Ok(listener) = TcpListener::bind(("127.0.0.1", port)).await {
            return listener.local_addr().expect("an address").to_string();
        }
    }
}
