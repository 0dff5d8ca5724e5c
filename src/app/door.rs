//! The application behind HTTP.

use std::net::SocketAddr;

use axum::Router;
use tokio::net::TcpListener;

use crate::http::{self, Door, NodeInfo};
use crate::ports::LogError;
use crate::shutdown::Shutdown;

use super::{App, AppError};

impl App {
    /// The routes of Retell, to merge with others and to put layers around.
    pub fn router(&self) -> Router {
        http::router(self.door())
    }

    /// Serves a router until `shutdown`, then ends in order: requests first, then what they
    /// wrote, then the views.
    ///
    /// # Errors
    /// The log turned out to be one that must not be used, or HTTP failed.
    pub async fn serve(
        self,
        listener: TcpListener,
        router: Router,
        shutdown: Shutdown,
    ) -> Result<(), AppError> {
        let address = listener.local_addr()?;
        if !self.config.auth.may_listen(address) {
            self.stop().await;
            return Err(open_to_all(address));
        }
        let config = self.config.http.clone();
        let closing = self.closing.clone();
        let serving = async {
            let served = http::serve(listener, router, closing.clone(), &config).await;
            // Where it could not begin, nobody asks for the end.
            closing.request();
            served
        };
        let ending = async {
            let ended = tokio::select! {
                () = shutdown.requested() => Ok(()),
                () = closing.requested() => Ok(()),
                reason = self.log_gate.refused() => Err(LogError::Settings(vec![reason]).into()),
            };
            closing.request();
            ended
        };
        let (served, ended) = tokio::join!(serving, ending);
        self.stop().await;
        served?;
        ended
    }

    /// Returns once every command and every query can be answered.
    pub async fn ready(&self) {
        self.door().ready().await;
    }

    /// What the door opens to.
    #[must_use]
    pub fn door(&self) -> Door {
        Door {
            authority: self.authority.clone(),
            metrics_open: self.config.auth.metrics_open,
            commands: self.commands.clone(),
            views: self.reading.views.clone(),
            replays: self.reading.replays.clone(),
            verifications: self.reading.verifications.clone(),
            operations: self.reading.operations.clone(),
            inbox: self.inbox.clone(),
            outbox: self.outbox.clone(),
            policies: self.reacting.clone(),
            timer: self.timer.clone(),
            closing: self.closing.clone(),
            log: self.log.clone(),
            store: self.store.clone(),
            log_gate: self.log_gate.clone(),
            store_gate: self.store_gate.clone(),
            http: self.config.http.clone(),
            queries: self.config.queries.clone(),
            history: self.config.history.clone(),
            metrics: self.config.telemetry.metrics_enabled,
            node: NodeInfo {
                id: self.node.node.clone(),
                address: self.node.address.clone(),
                instance: self.node.instance,
                started_at: self.started_at,
            },
        }
    }
}

fn open_to_all(address: SocketAddr) -> AppError {
    let detail = format!(
        "other machines reach {address}, and nobody is asked who they are: set auth.keys_file or \
         [auth.jwt], or auth.allow_open = true where a layer of your own asks"
    );
    AppError::Setting { key: "http.listen", detail }
}
