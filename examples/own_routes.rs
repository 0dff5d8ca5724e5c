//! A service with its own route and its own authentication around Retell's routes.
//!
//! `cargo run --example own_routes`, then
//! `curl -H 'Authorization: Bearer open-sesame' http://127.0.0.1:8080/rich/500`.

use std::sync::Arc;

use axum::extract::{Path, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use retell::Key;
use retell::app::App;
use retell::auth::Principal;
use retell::config::{Config, environment};
use retell::read::Views;
use retell::shutdown::{Shutdown, request_on_signal};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let config = Config::load(None, environment(), &[])?;
    let listener = tokio::net::TcpListener::bind(config.http.listen).await?;
    let app = App::builder(config).shipped().build().await?;

    let own =
        Router::new().route("/rich/{amount}", get(rich)).with_state(Arc::new(app.views().clone()));
    let router = app.router().merge(own).layer(from_fn(authenticate));

    let shutdown = Shutdown::default();
    request_on_signal(&shutdown)?;
    println!("listening on http://{}", listener.local_addr()?);
    app.serve(listener, router, shutdown).await?;
    Ok(())
}

/// Whether all accounts together have at least this much: a query of one's own on a view.
async fn rich(State(views): State<Arc<Views>>, Path(amount): Path<i64>) -> Response {
    let all = Key::new("all").expect("a valid key");
    let wait = std::time::Duration::ZERO;
    match views.get("account-totals", &all, &retell::Positions::default(), wait).await {
        Ok(found) => {
            let totals: serde_json::Value = serde_json::from_slice(&found.view).unwrap_or_default();
            let balance = totals["balance"].as_i64().unwrap_or_default();
            Json(serde_json::json!({ "rich": balance >= amount })).into_response()
        }
        Err(error) => (StatusCode::NOT_FOUND, error.to_string()).into_response(),
    }
}

/// Lets in who knows the password, to Retell's routes as well; health stays open. Whom it knows it
/// tells Retell, which checks the roles and names the caller in its records.
async fn authenticate(mut request: Request, next: Next) -> Response {
    let is_health = request.uri().path().starts_with("/health/");
    let authorization = request.headers().get(header::AUTHORIZATION);
    if authorization.is_some_and(|value| value == "Bearer open-sesame") {
        let roles = "read,write:account".parse().expect("roles");
        request.extensions_mut().insert(Principal::new("ali", roles).expect("a name"));
    } else if !is_health {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    next.run(request).await
}
