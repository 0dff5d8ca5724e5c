//! The door: HTTP in, JSON out. This file is the whole route table.
//!
//! It hands every command to the write loop and every query to the read loop, and knows no
//! aggregate and no view. Every error is a problem document, made in `problem` alone.

mod admin;
mod aggregates;
mod answers;
mod body;
mod commands;
mod dashboard;
mod entrance;
mod event_stream;
mod events;
mod extract;
mod frame;
mod headers;
mod health;
mod index;
mod jobs;
mod lists;
mod me;
mod metrics;
mod openapi;
mod operations;
mod parameters;
mod parked;
mod patience;
mod policies;
mod problem;
mod queries;
mod records;
mod replays;
mod request_id;
mod schemas;
mod serve;
mod shield;
mod streams;
mod tls;
mod traces;
mod verifications;
mod wait;

use std::sync::Arc;

use axum::routing::{get, post};
use axum::{Extension, Router};
use uuid::Uuid;

use crate::auth::Authority;
use crate::config::{HistoryConfig, HttpConfig, QueriesConfig};
use crate::contract::Time;
use crate::gate::Gate;
use crate::ports::{EventLog, ViewStore};
use crate::react::inbox::Inbox;
use crate::react::outbox::Outbox;
use crate::react::policies::Reacting;
use crate::react::timer::Timer;
use crate::read::{Operations, Replays, Verifications, Views};
use crate::shutdown::Shutdown;
use crate::write::Commands;

pub use commands::InboxWording;
pub use health::Reason;
pub use serve::serve;

use answers::Answers;
use entrance::Entrance;
use frame::FrameLayer;
use request_id::RequestIds;

/// What the door opens to: handles, cheap to clone.
///
/// ```
/// use axum::{body::Body, http::Request};
/// use retell::{app::App, http};
/// use tower::ServiceExt;
///
/// # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let app = App::ephemeral().build().await?;
/// let door = app.door();
/// door.ready().await;
/// let request = Request::get("/health/ready").body(Body::empty())?;
/// let answer = http::router(door).oneshot(request).await?;
/// assert_eq!(answer.status(), 200);
/// # app.stop().await; Ok(()) }
/// ```
#[derive(Clone)]
pub struct Door {
    /// Knows who asks.
    pub authority: Authority,
    /// Whether metrics are for everybody.
    pub metrics_open: bool,
    /// Takes commands.
    pub commands: Commands,
    /// Answers queries.
    pub views: Views,
    /// Starts replays.
    pub replays: Replays,
    /// Starts verifications.
    pub verifications: Verifications,
    /// Pauses, resumes and rolls back projections.
    pub operations: Operations,
    /// Takes commands from a topic, where this node does.
    pub inbox: Option<Inbox>,
    /// Publishes events for other teams, where this node does.
    pub outbox: Option<Outbox>,
    /// Tells of policies.
    pub policies: Reacting,
    /// Tells of the timer.
    pub timer: Timer,
    /// Ends the event streams, which have no end of their own.
    pub closing: Shutdown,
    /// Asked for its end only.
    pub log: Arc<dyn EventLog>,
    /// Asked whether it answers only.
    pub store: Arc<dyn ViewStore>,
    /// Whether the log may be used.
    pub log_gate: Gate,
    /// Whether the view store may be used.
    pub store_gate: Gate,
    /// The settings of requests.
    pub http: HttpConfig,
    /// The settings of queries.
    pub queries: QueriesConfig,
    /// The settings of what looks back.
    pub history: HistoryConfig,
    /// Whether numbers are served.
    pub metrics: bool,
    /// Who answers.
    pub node: NodeInfo,
}

/// Who answers, for status.
///
/// ```
/// use retell::{app::App, config::Config};
///
/// # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut config = Config::ephemeral();
/// config.node.id = "a".to_owned();
/// let app = App::builder(config).build().await?;
/// let node = app.door().node;
/// assert_eq!(serde_json::to_value(&node)?["id"], "a");
/// # app.stop().await; Ok(()) }
/// ```
#[derive(Clone, Debug, serde::Serialize, schemars::JsonSchema)]
pub struct NodeInfo {
    /// The node's name.
    pub id: String,
    /// Where other nodes reach it.
    pub address: String,
    /// New for every process.
    pub instance: Uuid,
    /// When this process began to serve.
    pub started_at: Time,
}

/// The routes, below `http.base_path`.
///
/// A user's own routes may be merged to it; they answer as they like.
pub fn router(door: Door) -> Router {
    let base_path = door.http.base_path.trim_end_matches('/').to_owned();
    let ids = RequestIds::new(door.node.instance);
    let is_tls = door.http.tls.is_used();
    let entrance = Entrance::new(door.authority.clone(), base_path.clone(), door.metrics_open);
    let answers = Answers::new();
    let routes = Router::new()
        .route("/commands", post(commands::post_batch))
        .route("/commands/{aggregate}", post(commands::post_new))
        .route("/commands/{aggregate}/{id}", post(commands::post))
        .route("/commands/{aggregate}/{id}/{command_id}", get(commands::outcome))
        .route("/projections", get(queries::list))
        .route("/projections/{name}", get(lists::get))
        .route("/projections/{name}/{key}", get(queries::get))
        .route("/aggregates/{aggregate}/{id}", get(aggregates::state))
        .route("/aggregates/{aggregate}/{id}/events", get(aggregates::history))
        .route("/events", get(events::list))
        .route("/traces/{correlation_id}", get(traces::get))
        .route("/schemas/{aggregate}/{event}/{schema}", get(schemas::get))
        .route("/admin/replays", get(replays::list).post(replays::start))
        .route("/admin/replays/{id}", get(replays::get).delete(replays::cancel))
        .route("/admin/replays/{id}/flip", post(replays::flip))
        .route("/admin/verifications", get(verifications::list).post(verifications::start))
        .route("/admin/verifications/{id}", get(verifications::get).delete(verifications::cancel))
        .route("/admin/projections/{name}/pause", post(operations::pause))
        .route("/admin/projections/{name}/resume", post(operations::resume))
        .route("/admin/projections/{name}/rollback", post(operations::roll_back))
        .route("/admin/parked", get(parked::list))
        .route("/admin/parked/{id}/retry", post(parked::retry))
        .route("/admin/parked/{id}/discard", post(parked::discard))
        .route("/admin/policies/{name}/begin", post(policies::begin))
        .route("/admin/status", get(admin::status))
        .route("/admin/me", get(me::get))
        .route("/health/live", get(health::live))
        .route("/health/ready", get(health::ready))
        .route("/metrics", get(metrics::get).layer(Extension(answers.clone())))
        .route("/openapi.json", get(openapi::get))
        .route("/docs", get(openapi::docs))
        .route("/docs/style.css", get(openapi::style))
        .route("/", get(index::get))
        .merge(dashboard::files());
    let below = Arc::from(base_path.as_str());
    let routes = match base_path.as_str() {
        "" => routes,
        // The nested `/` is the base path as it is; people also end it with a slash.
        path => Router::new().nest(path, routes).route(&format!("{path}/"), get(index::get)),
    };
    routes
        .method_not_allowed_fallback(problem::method_not_allowed)
        .fallback(problem::no_route)
        .layer(Extension(openapi::Document::of(&door)))
        .with_state(Arc::new(door))
        .layer(FrameLayer { ids, entrance, answers, base_path: below, is_tls })
}
