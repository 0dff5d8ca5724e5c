//! The application behind its door: handles go into HTTP, and the order of going down.

use axum::Router;
use tokio::net::TcpListener;

use crate::http::{self, Door, NodeInfo};
use crate::shutdown::Shutdown;

use super::{App, AppError};

impl App {
    /// What the door opens to.
    #[must_use]
    pub fn door(&self) -> Door {
        let identity = &self.identity;
        Door {
            commands: self.commands.clone(),
            views: self.views.clone(),
            replays: self.replays.clone(),
            log: self.log.clone(),
            store: self.store.clone(),
            log_gate: self.log_gate.clone(),
            store_gate: self.store_gate.clone(),
            http: self.config.http.clone(),
            queries: self.config.queries.clone(),
            node: NodeInfo {
                id: identity.node.clone(),
                address: identity.address.clone(),
                instance: identity.instance,
                started_at: self.started_at,
            },
        }
    }

    /// The routes, to which own ones and layers can be added.
    pub fn router(&self) -> Router {
        http::router(self.door())
    }

    /// Serves until `shutdown`; then requests end first, and after them writers and projectors.
    ///
    /// # Errors
    /// The log turned out to be one that must not be used, or the door could not be kept open.
    pub async fn serve(
        self,
        listener: TcpListener,
        router: Router,
        shutdown: Shutdown,
    ) -> Result<(), AppError> {
        let drain = self.config.http.drain_timeout;
        let serving = http::serve(listener, router, shutdown, drain);
        let served = tokio::select! {
            served = serving => served.map_err(AppError::from),
            error = self.refused() => Err(error),
        };
        self.stop().await;
        served
    }
}
