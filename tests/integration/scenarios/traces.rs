//! Traces: a collector is told what was done for a request, and what followed from it.

use std::sync::{Arc, Mutex};

use axum::routing::post;
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::Notify;

use crate::support::process::Process;
use crate::support::writers::PATIENCE;

const CLIENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// A collector of OTLP over HTTP that keeps every span.
struct Collector {
    url: String,
    spans: Arc<Mutex<Vec<Value>>>,
    more: Arc<Notify>,
}

impl Collector {
    async fn start() -> Self {
        let (spans, more) = (Arc::<Mutex<Vec<Value>>>::default(), Arc::new(Notify::new()));
        let (kept, told) = (spans.clone(), more.clone());
        let take = move |Json(message): Json<Value>| async move {
            let found = message["resourceSpans"][0]["scopeSpans"][0]["spans"].as_array();
            kept.lock().expect("lock").extend(found.expect("spans").iter().cloned());
            told.notify_one();
            Json(json!({}))
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}/v1/traces", listener.local_addr().expect("address"));
        let routes = Router::new().route("/v1/traces", post(take));
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Self { url, spans, more }
    }

    /// Waits until there are so many spans of this name.
    async fn until(&self, name: &str, count: usize) -> Vec<Value> {
        let waiting = async {
            loop {
                let named = self.named(name);
                if named.len() >= count {
                    return named;
                }
                self.more.notified().await;
            }
        };
        let waited = tokio::time::timeout(PATIENCE, waiting).await;
        waited.unwrap_or_else(|_| panic!("no {count} spans `{name}`: {:?}", self.spans))
    }

    fn named(&self, name: &str) -> Vec<Value> {
        let spans = self.spans.lock().expect("lock");
        spans.iter().filter(|span| span["name"] == name).cloned().collect()
    }
}

fn post_to(service: &Process, path: &str) -> reqwest::RequestBuilder {
    let http = reqwest::Client::builder().no_proxy().build().expect("client");
    http.post(format!("{}{path}", service.url()))
}

#[tokio::test]
async fn a_command_its_append_its_views_and_what_follows_are_one_trace() {
    let collector = Collector::start().await;
    let settings = [
        ("RETELL_TELEMETRY__TRACES_URL", collector.url.as_str()),
        ("RETELL_TELEMETRY__TRACES_PERCENT", "0"),
    ];
    let service = Process::start_alone(&settings).await;
    let sent = post_to(&service, "/commands/message/m1").header("traceparent", CLIENT);
    let sent = sent.json(&json!({"type": "ProduceMessage", "text": "hello"})).send().await;
    assert_eq!(sent.expect("an answer").status(), 200);
    // Of the message and of what the policy did with it.
    let appends = collector.until("append", 2).await;
    let [request] = &collector.until("POST /commands", 1).await[..] else { panic!("one request") };
    let [policy] = &collector.until("policy", 1).await[..] else { panic!("one command follows") };
    let projected = collector.until("project", 2).await;
    let of = |span: &Value, name: &str| span[name].as_str().unwrap_or_default().to_owned();
    for span in [&appends[..], &[request.clone(), policy.clone()], &projected].concat() {
        assert_eq!(of(&span, "traceId"), "4bf92f3577b34da6a3ce929d0e0e4736");
        let [began, ended] = ["startTimeUnixNano", "endTimeUnixNano"].map(|at| of(&span, at));
        assert!(began <= ended, "{span}");
    }
    assert_eq!(of(request, "parentSpanId"), "00f067aa0ba902b7");
    assert_eq!(of(policy, "parentSpanId"), of(request, "spanId"));
    let parents: Vec<_> = appends.iter().map(|span| of(span, "parentSpanId")).collect();
    assert!(parents.contains(&of(request, "spanId")), "{parents:?}");
    assert!(parents.contains(&of(policy, "spanId")), "{parents:?}");
}

#[tokio::test]
async fn of_requests_that_nobody_traces_some_are() {
    let collector = Collector::start().await;
    let settings = [
        ("RETELL_TELEMETRY__TRACES_URL", collector.url.as_str()),
        ("RETELL_TELEMETRY__TRACES_PERCENT", "100"),
    ];
    let service = Process::start_alone(&settings).await;
    let unsampled = CLIENT.replace("-01", "-00");
    let not = post_to(&service, "/commands/account/a").header("traceparent", unsampled);
    not.json(&json!({"type": "OpenAccount", "owner": "A"})).send().await.expect("an answer");
    let opened = post_to(&service, "/commands/account/b");
    opened.json(&json!({"type": "OpenAccount", "owner": "B"})).send().await.expect("an answer");
    let spans = collector.until("POST /commands", 1).await;
    let is_of = |span: &Value| {
        let told = span["attributes"].as_array().expect("attributes").iter();
        told.filter(|it| it["key"] == "url.path")
            .any(|it| it["value"]["stringValue"] == "/commands/account/b")
    };
    assert!(spans.iter().all(is_of), "a client that says no is heard: {spans:?}");
}

/// What waits for the next message to the collector would else be lost, and it is what somebody
/// wants to know who asks why a service ended.
#[tokio::test]
async fn the_spans_of_the_last_requests_are_sent_at_the_end() {
    let collector = Collector::start().await;
    let settings = [
        ("RETELL_TELEMETRY__TRACES_URL", collector.url.as_str()),
        ("RETELL_TELEMETRY__TRACES_PERCENT", "0"),
    ];
    let mut service = Process::start_alone(&settings).await;
    let open = async |id: &str| {
        let sent = post_to(&service, &format!("/commands/account/{id}"));
        let sent = sent.header("traceparent", CLIENT);
        sent.json(&json!({"type": "OpenAccount", "owner": "A"})).send().await.expect("an answer")
    };
    open("a").await;
    collector.until("POST /commands", 1).await;
    // The collector is left in peace for a second now.
    open("b").await;
    service.terminate();
    let (status, said) = service.ended().await;
    assert!(status.success(), "{said}");
    assert_eq!(collector.named("POST /commands").len(), 2, "{said}");
}

#[tokio::test]
async fn a_collector_that_takes_nothing_holds_up_the_end_only_for_a_while() {
    // It listens, and never answers.
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}/v1/traces", listener.local_addr().expect("address"));
    let settings = [
        ("RETELL_TELEMETRY__TRACES_URL", url.as_str()),
        ("RETELL_TELEMETRY__TRACES_PERCENT", "100"),
        ("RETELL_HTTP__DRAIN_TIMEOUT_MS", "50"),
    ];
    let mut service = Process::start_alone(&settings).await;
    post_to(&service, "/commands/account/a").send().await.expect("an answer");
    service.terminate();
    let (status, said) = service.ended().await;
    assert!(status.success() && said.contains("the last traces were not taken in time"), "{said}");
}
