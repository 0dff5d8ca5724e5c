//! A real Chromium, spoken to over WebDriver: one for all tests, which take turns.
//!
//! Nothing here sleeps: what a test waits for, the browser itself looks for at every change.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use base64::Engine;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use tokio::sync::{Mutex, MutexGuard};

use super::writers::PATIENCE;

/// What Chromium is started with.
const FLAGS: [&str; 9] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
];

/// The name of an element in an answer, by the WebDriver standard.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

static SHARED: Mutex<Option<Driver>> = Mutex::const_new(None);

/// What all tests share.
struct Driver {
    /// Its standard input ends with this process, and it with that.
    _process: Child,
    session: String,
}

/// The browser, as long as a test has it.
pub(crate) struct Browser {
    shared: MutexGuard<'static, Option<Driver>>,
    http: reqwest::Client,
    base: String,
}

impl Browser {
    /// Waits for its turn, and opens the dashboard of the service at this URL.
    pub(crate) async fn open(base: &str) -> Self {
        let mut shared = SHARED.lock().await;
        let http = reqwest::Client::builder().no_proxy().build().expect("client");
        if shared.is_none() {
            *shared = Some(Driver::start(&http).await);
        }
        let browser = Self { shared, http, base: base.to_owned() };
        browser.size(1280, 900).await;
        browser.prefer_dark(false).await;
        browser.console().await;
        browser.go("").await;
        browser
    }

    /// Goes to a place of the dashboard, such as `#/log`, as if it was typed.
    pub(crate) async fn go(&self, place: &str) {
        // From elsewhere, so that it is read anew.
        self.post("url", json!({"url": "about:blank"})).await;
        self.post("url", json!({"url": format!("{}/{place}", self.base)})).await;
    }

    /// The value of a script's `return`.
    pub(crate) async fn run(&self, script: &str) -> Value {
        self.post("execute/sync", json!({"script": script, "args": []})).await
    }

    /// Waits until a script returns something that is true, and gives it.
    pub(crate) async fn until(&self, script: &str) -> Value {
        let waiting = format!(
            "const [patience, done] = arguments, end = Date.now() + patience;
             const look = () => {{ {script} }};
             (function again() {{
                 let found = null;
                 try {{ found = look(); }} catch {{ /* not there yet */ }}
                 if (found || Date.now() > end) done(found || null);
                 else requestAnimationFrame(again);
             }})();"
        );
        let patience = u64::try_from(PATIENCE.as_millis()).expect("seconds");
        let asked = json!({"script": waiting, "args": [patience]});
        let found = self.post("execute/async", asked).await;
        if found.is_null() {
            let seen = self.run("return location.href + '\\n' + document.body.innerText").await;
            panic!("it never came to be: {script}\n{}", seen.as_str().unwrap_or_default());
        }
        found
    }

    /// Waits until the page shows this text.
    pub(crate) async fn sees(&self, text: &str) {
        self.until(&format!("return document.body.innerText.includes({})", json!(text))).await;
    }

    /// Waits until the page does not show this text any more.
    pub(crate) async fn no_longer_sees(&self, text: &str) {
        self.until(&format!("return !document.body.innerText.includes({})", json!(text))).await;
    }

    /// Clicks what a selector finds, as a person would: it must be there to be hit.
    pub(crate) async fn click(&self, selector: &str) {
        self.hit(&format!("return document.querySelector({})", json!(selector))).await;
    }

    /// Clicks the button or the link that says this.
    pub(crate) async fn press(&self, text: &str) {
        let script = format!(
            "return [...document.querySelectorAll('button,a,summary,.seg')].find(it =>
               it.checkVisibility() && it.innerText.trim() === {})",
            json!(text)
        );
        self.hit(&script).await;
    }

    /// Replaces what is entered in a field.
    pub(crate) async fn enter(&self, selector: &str, text: &str) {
        loop {
            let found = self.find(selector).await;
            if self.is_there_to(&found, "clear", json!({})).await
                && self.is_there_to(&found, "value", json!({"text": text})).await
            {
                return;
            }
        }
    }

    /// Chooses an option of a list by what it says.
    pub(crate) async fn choose(&self, selector: &str, option: &str) {
        let script = format!(
            "return [...document.querySelector({}).options].find(it => it.text === {})",
            json!(selector),
            json!(option)
        );
        self.hit(&script).await;
    }

    /// Presses keys, one after the other, wherever the focus is.
    pub(crate) async fn keys(&self, keys: &str) {
        let key = |key: char| {
            [json!({"type": "keyDown", "value": key}), json!({"type": "keyUp", "value": key})]
        };
        let actions: Vec<Value> = keys.chars().flat_map(key).collect();
        self.post(
            "actions",
            json!({"actions": [{"type": "key", "id": "keys", "actions": actions}]}),
        )
        .await;
    }

    /// How large the window is, in CSS pixels.
    pub(crate) async fn size(&self, width: u32, height: u32) {
        let size =
            json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.devtools("Emulation.setDeviceMetricsOverride", size).await;
    }

    /// What the system says that its user prefers.
    pub(crate) async fn prefer_dark(&self, dark: bool) {
        let scheme =
            json!({"name": "prefers-color-scheme", "value": if dark { "dark" } else { "light" }});
        self.devtools("Emulation.setEmulatedMedia", json!({"features": [scheme]})).await;
    }

    /// What it looks like, as a PNG.
    pub(crate) async fn picture(&self) -> Vec<u8> {
        let shot = self.ask(Method::GET, "screenshot", None).await;
        let text = shot.as_str().expect("base64");
        base64::engine::general_purpose::STANDARD.decode(text).expect("base64")
    }

    /// Ends a test: nothing went wrong unseen. Answers with these statuses were to be expected;
    /// the browser notes each one that is no success.
    pub(crate) async fn ends_calm(self, expected: &[u16]) {
        let is_expected = |line: &String| {
            let status = |it: &u16| line.contains(&format!("responded with a status of {it} "));
            expected.iter().any(status)
        };
        let mut noise = self.console().await;
        noise.retain(|line| !is_expected(line));
        assert!(noise.is_empty(), "the console has {noise:#?}");
    }

    /// What the console has since it was read last: errors, and what the policy forbade.
    async fn console(&self) -> Vec<String> {
        let log = self.post("se/log", json!({"type": "browser"})).await;
        let line = |entry: &Value| entry["message"].as_str().unwrap_or_default().to_owned();
        log.as_array().expect("a log").iter().map(line).collect()
    }

    async fn find(&self, selector: &str) -> Value {
        self.until(&format!("return document.querySelector({})", json!(selector))).await
    }

    /// Clicks what a script finds; what was drawn anew meanwhile is looked for again.
    async fn hit(&self, script: &str) {
        loop {
            let found = self.until(script).await;
            if self.is_there_to(&found, "click", json!({})).await {
                return;
            }
        }
    }

    /// Whether what was found is still on the page; then this is done to it.
    async fn is_there_to(&self, found: &Value, verb: &str, body: Value) -> bool {
        let done = self.request(Method::POST, &format!("element/{}/{verb}", id_of(found)));
        let done = answer(done.json(&body)).await;
        if done["error"] == "stale element reference" {
            return false;
        }
        said(done);
        true
    }

    async fn devtools(&self, command: &str, parameters: Value) {
        self.post("goog/cdp/execute", json!({"cmd": command, "params": parameters})).await;
    }

    async fn post(&self, verb: &str, body: Value) -> Value {
        self.ask(Method::POST, verb, Some(body)).await
    }

    async fn ask(&self, method: Method, verb: &str, body: Option<Value>) -> Value {
        let request = self.request(method, verb);
        let sent = match body {
            Some(body) => request.json(&body),
            None => request,
        };
        said(answer(sent).await)
    }

    fn request(&self, method: Method, verb: &str) -> RequestBuilder {
        let session = &self.shared.as_ref().expect("it was started").session;
        self.http.request(method, format!("{session}/{verb}"))
    }
}

impl Driver {
    async fn start(http: &reqwest::Client) -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/dev/browser");
        let started = Command::new(script).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut process = started.unwrap_or_else(|error| panic!("{script}: {error}"));
        let output = BufReader::new(process.stdout.take().expect("it is piped"));
        let port = tokio::task::spawn_blocking(move || {
            output.lines().map_while(Result::ok).find_map(|line| {
                let (_, port) = line.split_once("started successfully on port ")?;
                port.trim_end_matches('.').parse::<u16>().ok()
            })
        });
        let port = port.await.expect("no panic");
        let port = port
            .expect("dev/browser says where chromedriver is; it needs chromium and chromedriver");
        let driver = format!("http://127.0.0.1:{port}");
        let wanted = json!({"capabilities": {"alwaysMatch": {
            "browserName": "chrome",
            "goog:loggingPrefs": {"browser": "ALL"},
            "goog:chromeOptions": {"args": FLAGS},
            "timeouts": {"script": 2 * PATIENCE.as_millis()},
        }}});
        let session = said(answer(http.post(format!("{driver}/session")).json(&wanted)).await);
        let id = session["sessionId"].as_str().expect("a session");
        Self { _process: process, session: format!("{driver}/session/{id}") }
    }
}

async fn answer(request: RequestBuilder) -> Value {
    let response = request.send().await.expect("chromedriver answers");
    let mut answer: Value = response.json().await.expect("JSON");
    answer["value"].take()
}

/// What is no error.
fn said(answer: Value) -> Value {
    assert!(answer["error"].is_null(), "{}: {}", answer["error"], answer["message"]);
    answer
}

fn id_of(found: &Value) -> &str {
    found[ELEMENT].as_str().unwrap_or_else(|| panic!("no element: {found}"))
}
