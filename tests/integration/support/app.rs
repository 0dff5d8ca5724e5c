//! The shipped service on a free port with everything in memory, and a verb per user action.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use reqwest::header::HeaderMap;
use reqwest::{Method, RequestBuilder};
use retell::adapters::SystemClock;
use retell::adapters::memory::{MemoryLog, MemoryViews};
use retell::app::{App, AppError};
use retell::config::Config;
use retell::ports::{EventLog, ViewStore};
use retell::shutdown::Shutdown;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::slow::Slow;
use super::writers::{PATIENCE, partitions};

/// A running service, and a client of it.
pub(crate) struct TestApp {
    pub(crate) address: SocketAddr,
    /// Lets one waiting command of the aggregate `slow` decide.
    pub(crate) go: Arc<Notify>,
    pub(crate) shutdown: Shutdown,
    base: String,
    http: reqwest::Client,
    served: JoinHandle<Result<(), AppError>>,
}

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl TestApp {
    pub(crate) async fn spawn() -> Self {
        Self::spawn_with(|_| {}).await
    }

    /// With other settings than the defaults.
    pub(crate) async fn spawn_with(change: impl FnOnce(&mut Config)) -> Self {
        Self::spawn_on(Arc::new(memory_log()), change).await
    }

    /// On this log; returns once the service is ready.
    pub(crate) async fn spawn_on(log: Arc<dyn EventLog>, change: impl FnOnce(&mut Config)) -> Self {
        let app = Self::start_on(log, change).await;
        app.ready().await;
        app
    }

    /// On this log; returns at once.
    pub(crate) async fn start_on(log: Arc<dyn EventLog>, change: impl FnOnce(&mut Config)) -> Self {
        Self::start_over(log, Arc::new(MemoryViews::new(Arc::new(SystemClock))), change).await
    }

    /// On this log and over this store; returns at once.
    pub(crate) async fn start_over(
        log: Arc<dyn EventLog>,
        store: Arc<dyn ViewStore>,
        change: impl FnOnce(&mut Config),
    ) -> Self {
        let mut config = Config::defaults();
        change(&mut config);
        let go = Arc::new(Notify::new());
        let app = App::builder(config)
            .log(log)
            .store(store)
            .shipped()
            .aggregate::<Slow>(go.clone())
            .build()
            .await
            .expect("the shipped application");
        Self::serve(app, go).await
    }

    /// Serves an application; returns at once.
    pub(crate) async fn serve(app: App, go: Arc<Notify>) -> Self {
        let base_path = app.config().http.base_path.clone();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("address");
        let shutdown = Shutdown::default();
        let router = app.router();
        let served = tokio::spawn(app.serve(listener, router, shutdown.clone()));
        let http = reqwest::Client::builder().no_proxy().build().expect("client");
        Self { address, go, shutdown, base: format!("http://{address}{base_path}"), http, served }
    }

    /// Spoken to by TLS from now on, by this client.
    pub(crate) fn by_tls(mut self, http: reqwest::Client) -> Self {
        self.base = self.base.replace("http://", "https://");
        Self { http, ..self }
    }

    pub(crate) async fn open_account(&self, id: &str, owner: &str) -> Answer {
        self.command("account", id, &json!({"type": "OpenAccount", "owner": owner})).await
    }

    pub(crate) async fn deposit(&self, id: &str, amount: i64) -> Answer {
        self.command("account", id, &json!({"type": "DepositMoney", "amount": amount})).await
    }

    pub(crate) async fn withdraw(&self, id: &str, amount: i64) -> Answer {
        self.command("account", id, &json!({"type": "WithdrawMoney", "amount": amount})).await
    }

    pub(crate) async fn command(&self, aggregate: &str, id: &str, command: &Value) -> Answer {
        self.ask(self.post(&format!("/commands/{aggregate}/{id}"), command)).await
    }

    /// A view as of a command's answer.
    pub(crate) async fn view(&self, name: &str, key: &str, after: &Answer) -> Answer {
        let request = self.request(Method::GET, &format!("/projections/{name}/{key}"));
        let request = request.header("Retell-Position", after.header("retell-position"));
        self.ask(request.header("Prefer", "wait=20")).await
    }

    /// The same path as of a command's answer.
    pub(crate) async fn get_after(&self, path: &str, after: &Answer) -> Answer {
        let request = self.request(Method::GET, path);
        let request = request.header("Retell-Position", after.header("retell-position"));
        self.ask(request.header("Prefer", "wait=20")).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.ask(self.request(Method::GET, path)).await
    }

    pub(crate) async fn replay(&self, request: &Value) -> Answer {
        self.ask(self.post("/admin/replays", request)).await
    }

    /// The status of a replay once it has ended.
    pub(crate) async fn ended(&self, replay: &str) -> Value {
        self.eventually(&format!("/admin/replays/{replay}"), |answer| {
            answer.json()["state"] != "running"
        })
        .await
        .json()
    }

    pub(crate) async fn ready(&self) {
        self.eventually("/health/ready", |answer| answer.status == 200).await;
    }

    /// Asks again and again until the answer is one that `is` likes.
    pub(crate) async fn eventually(&self, path: &str, is: impl Fn(&Answer) -> bool) -> Answer {
        let asking = async {
            loop {
                let answer = self.get(path).await;
                if is(&answer) {
                    return answer;
                }
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(PATIENCE, asking).await.expect("the answer comes in time")
    }

    /// Where it is, with `http.base_path`.
    pub(crate) fn url(&self) -> &str {
        &self.base
    }

    pub(crate) fn post(&self, path: &str, json: &Value) -> RequestBuilder {
        self.request(Method::POST, path).json(json)
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.base))
    }

    pub(crate) async fn ask(&self, request: RequestBuilder) -> Answer {
        let response = request.send().await.expect("an answer");
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Answer { status, headers, body: response.bytes().await.expect("a whole answer") }
    }

    /// Sends bytes as they are, and reads until the service closes the connection.
    pub(crate) async fn raw(&self, request: &[u8]) -> String {
        let mut stream = TcpStream::connect(self.address).await.expect("connected");
        stream.write_all(request).await.expect("sent");
        let mut answer = Vec::new();
        let read = stream.read_to_end(&mut answer);
        tokio::time::timeout(PATIENCE, read).await.expect("closed in time").expect("read");
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// A POST whose path no client library would send as it is.
    pub(crate) async fn raw_post(&self, path: &str, json: &str) -> String {
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            json.len()
        );
        self.raw(format!("{head}{json}").as_bytes()).await
    }

    /// Asks the service to stop, and waits until it has.
    pub(crate) async fn stop(self) -> Result<(), AppError> {
        self.shutdown.request();
        self.stopped().await
    }

    /// Waits until the service has stopped.
    pub(crate) async fn stopped(self) -> Result<(), AppError> {
        let served = tokio::time::timeout(PATIENCE, self.served).await;
        served.expect("it stops in time").expect("no panic")
    }
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        let text = String::from_utf8_lossy(&self.body);
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {text}"))
    }

    #[track_caller]
    pub(crate) fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name).unwrap_or_else(|| panic!("no {name}: {self:?}"));
        value.to_str().expect("text")
    }

    /// Checks status and content.
    #[track_caller]
    pub(crate) fn ok(self) -> Self {
        assert_eq!(self.status, 200, "{self:?}");
        assert_eq!(self.header("content-type"), "application/json");
        self
    }

    /// Checks that it is a whole problem document, and gives its detail.
    #[track_caller]
    pub(crate) fn problem(&self, status: u16, code: &str) -> String {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.header("content-type"), "application/problem+json");
        let document = self.json();
        assert_eq!(document["code"], code, "{document}");
        assert_eq!(document["status"], status);
        assert_eq!(document["instance"], self.header("x-request-id"));
        assert!(document["title"].is_string(), "{document}");
        assert!(document["type"].as_str().expect("type").starts_with("urn:retell:problem:"));
        document["detail"].as_str().expect("detail").to_owned()
    }
}

pub(crate) fn memory_log() -> MemoryLog {
    MemoryLog::new(partitions(4), Arc::new(SystemClock))
}
