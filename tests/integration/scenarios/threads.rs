//! Which threads fold: those that the application gives to what follows, and to what is built.

use std::sync::Arc;
use std::thread;

use retell::adapters::SystemClock;
use retell::adapters::memory::{MemoryLog, MemoryViews};
use retell::app::App;
use retell::commands::Account;
use retell::config::Config;
use retell::events::account::AccountEvent;
use retell::write::Done;
use retell::{Projection, Recorded};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::runtime::{Builder, Runtime};

use crate::support::shipped::Shipped;
use crate::support::writers::partitions;

/// Tells which thread folded an account's last event.
struct FoldedBy;

#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
struct Folder {
    thread: String,
}

impl Projection for FoldedBy {
    type Aggregate = Account;
    type View = Folder;
    const NAME: &'static str = "folded-by";
    const REVISION: u32 = 1;

    fn fold(&self, _: Option<Folder>, _: &AccountEvent, _: &Recorded<'_>) -> Option<Folder> {
        Some(Folder { thread: thread::current().name().unwrap_or_default().to_owned() })
    }
}

fn runtime(name: &str) -> Runtime {
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(1).thread_name(name).enable_all().build().expect("a runtime")
}

async fn folder(app: &Shipped, after: &Done) -> String {
    let view = app.0.view::<FoldedBy>("ann", after.position).await.expect("a view in time");
    view.expect("a view of what was opened").thread
}

#[test]
fn what_is_replayed_is_folded_elsewhere_and_what_follows_is_not() {
    let [requests, projections, replays] = ["requests", "projections", "replays"].map(runtime);
    requests.block_on(async {
        let clock = Arc::new(SystemClock);
        let app = App::builder(Config::defaults())
            .log(Arc::new(MemoryLog::new(partitions(2), clock.clone())))
            .store(Arc::new(MemoryViews::new(clock)))
            .projection(FoldedBy)
            .aggregate::<Account>(())
            .projections_on(projections.handle().clone())
            .replays_on(replays.handle().clone());
        let app = Shipped(app.build().await.expect("an application"));
        app.0.door().ready().await;
        let before = app.generation("folded-by", |_| true).await;
        let opened = app.open("ann", "Ann").await;
        assert_eq!(folder(&app, &opened).await, "projections");
        app.replay(Some("folded-by")).await;
        app.generation("folded-by", |generation| generation != before).await;
        assert_eq!(folder(&app, &opened).await, "replays");
        let deposited = app.deposit("ann", 5).await;
        assert_eq!(folder(&app, &deposited).await, "projections");
        app.0.stop().await;
    });
}
