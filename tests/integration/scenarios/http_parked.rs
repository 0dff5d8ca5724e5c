//! Parked sequences over HTTP and on the command line.

use std::net::SocketAddr;
use std::sync::Arc;

use reqwest::Method;
use retell::adapters::SystemClock;
use retell::adapters::memory::{MemoryLog, MemoryViews};
use retell::config::Config;
use serde_json::{Value, json};

use crate::support::app::Answer;
use crate::support::command_line::client;
use crate::support::fragile::{self, Trap, Traps, deposits, parked};
use crate::support::shipped::Shipped;
use crate::support::writers::partitions;

/// A service with an account that is parked at its third event of four.
struct Scene {
    app: Shipped,
    traps: Traps,
    address: SocketAddr,
    id: String,
}

impl Scene {
    async fn start() -> Self {
        let traps = Traps::default();
        traps.set(Trap::Fold(13));
        let log = Arc::new(MemoryLog::new(partitions(1), Arc::new(SystemClock)));
        let store = Arc::new(MemoryViews::new(Arc::new(SystemClock)));
        let app = fragile::start(log, store, &traps, Config::defaults()).await;
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("address");
        tokio::spawn(axum::serve(listener, app.0.router()).into_future());
        app.open("ann", "Ann").await;
        for amount in [1, 13, 2] {
            let done = app.deposit("ann", amount).await;
            drop(deposits(&app, "ann", done.position).await);
        }
        let id = parked(&app, "fragile").await.id.to_string();
        Self { app, traps, address, id }
    }

    async fn ask(&self, method: Method, path: &str, body: &str) -> Answer {
        let http = reqwest::Client::builder().no_proxy().build().expect("client");
        let request = http.request(method, format!("http://{}{path}", self.address));
        let response = request.body(body.to_owned()).send().await.expect("an answer");
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Answer { status, headers, body: response.bytes().await.expect("a whole answer") }
    }

    async fn list(&self) -> Value {
        self.ask(Method::GET, "/admin/parked", "").await.ok().json()
    }

    async fn post(&self, verb: &str) -> Answer {
        self.ask(Method::POST, &format!("/admin/parked/{}/{verb}", self.id), "").await
    }
}

#[tokio::test]
async fn what_is_parked_is_listed_with_event_error_and_time() {
    let scene = Scene::start().await;
    let list = scene.list().await;
    let items = list["items"].as_array().expect("items");
    assert_eq!(items.len(), 1, "{list}");
    let item = &items[0];
    assert_eq!(item["id"], *scene.id);
    assert_eq!(
        (&item["projection"], &item["aggregate"]),
        (&json!("fragile"), &json!("account/ann"))
    );
    assert_eq!((&item["count"], &item["state"]), (&json!(2), &json!("parked")));
    assert!(item["position"].as_str().is_some_and(|it| it.starts_with("0@")), "{item}");
    assert!(item["time"].as_str().is_some_and(|it| it.ends_with('Z')), "{item}");
    assert!(item["error"].as_str().is_some_and(|it| it.contains("on purpose")), "{item}");
    let data = r#"{"amount":13,"balance":14}"#;
    assert_eq!(item["event"], json!({"type": "MoneyDeposited", "version": 3, "data": data}));
}

#[tokio::test]
async fn a_sequence_is_retried_once_it_can_be_folded() {
    let scene = Scene::start().await;
    let detail = scene.post("retry").await.problem(422, "still_parked");
    assert!(detail.contains("on purpose"), "{detail}");
    scene.traps.clear(Trap::Fold(13));
    let retried = scene.post("retry").await.ok().json();
    assert_eq!(retried, json!({"applied": 2, "parked": null}));
    assert_eq!(scene.list().await, json!({"items": []}));
    scene.post("retry").await.problem(404, "unknown_parked");
}

#[tokio::test]
async fn a_discarded_sequence_needs_a_replay() {
    let scene = Scene::start().await;
    let discarded = scene.post("discard").await.ok().json();
    assert_eq!((&discarded["id"], &discarded["state"]), (&json!(scene.id), &json!("discarded")));
    assert_eq!(scene.list().await["items"][0], discarded);
    let detail = scene.post("retry").await.problem(422, "needs_replay");
    assert!(detail.contains("replay"), "{detail}");
    let missing = scene.ask(Method::GET, "/projections/fragile/ann", "").await;
    missing.problem(404, "view_not_found");
}

#[tokio::test]
async fn a_request_about_a_sequence_that_is_none_is_refused() {
    let scene = Scene::start().await;
    let ask = |method, path: &'static str, body: &'static str| scene.ask(method, path, body);
    let detail = ask(Method::POST, "/admin/parked/one/retry", "").await.problem(400, "bad_id");
    assert!(detail.contains("GET /admin/parked"), "{detail}");
    let nobody = "/admin/parked/00000000000000000000000000000000/discard";
    ask(Method::POST, nobody, "").await.problem(404, "unknown_parked");
    ask(Method::POST, nobody, "{}").await.problem(400, "bad_body");
    ask(Method::GET, nobody, "").await.problem(405, "method_not_allowed");
    ask(Method::GET, "/admin/parked?all=1", "").await.problem(400, "unknown_parameter");
    assert_eq!(scene.list().await["items"][0]["state"], "parked");
}

#[tokio::test]
async fn the_command_line_lists_retries_and_discards() {
    let scene = Scene::start().await;
    let list = client(scene.address, &["parked"], "").await;
    assert_eq!(list.code, 0, "{list:?}");
    for said in [&*scene.id, "fragile", "account/ann", "MoneyDeposited, version 3", "on purpose"] {
        assert!(list.stdout.contains(said), "{said}: {list:?}");
    }
    let json = client(scene.address, &["parked", "--json"], "").await;
    assert_eq!(serde_json::from_str::<Value>(&json.stdout).expect("JSON"), scene.list().await);
    let still = client(scene.address, &["parked", "retry", &scene.id], "").await;
    assert_eq!(still.code, 1, "{still:?}");
    assert!(still.stderr.contains("still_parked"), "{still:?}");
    scene.traps.clear(Trap::Fold(13));
    let retried = client(scene.address, &["parked", "retry", &scene.id], "").await;
    assert_eq!((retried.code, retried.stdout.as_str()), (0, "2 records folded\n"), "{retried:?}");
    let list = client(scene.address, &["parked"], "").await;
    assert_eq!((list.code, list.stdout.as_str()), (0, "nothing is parked\n"), "{list:?}");

    scene.traps.set(Trap::Fold(17));
    scene.app.deposit("ann", 17).await;
    let id = parked(&scene.app, "fragile").await.id.to_string();
    assert_eq!(id, scene.id, "an aggregate's id stays");
    let discarded = client(scene.address, &["parked", "discard", &id], "").await;
    let said = "account/ann is left out of fragile until a replay\n";
    assert_eq!((discarded.code, discarded.stdout.as_str()), (0, said), "{discarded:?}");
    let wrong = client(scene.address, &["parked", "retry"], "").await;
    assert_eq!(wrong.code, 2, "{wrong:?}");
}
