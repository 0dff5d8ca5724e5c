//! Opens the gates when the log and the store answer and are what they must be, and closes the
//! store's again when it stops to be: a Redis that evicts must not be believed.

use std::sync::Arc;
use std::time::Duration;

use crate::gate::{Gate, GateState};
use crate::ports::{EventLog, LogError, StoreError, ViewStore};
use crate::shutdown::Shutdown;

use super::{AppError, FIRST_CHECK};

/// How often a port that does not answer is asked again.
const RETRY_DELAY: Duration = Duration::from_millis(500);

pub(super) struct Keeper {
    log: Arc<dyn EventLog>,
    store: Arc<dyn ViewStore>,
    log_gate: Gate,
    store_gate: Gate,
    /// How often a store that is right is checked again.
    check_interval: Duration,
}

impl Keeper {
    pub(super) fn new(
        log: Arc<dyn EventLog>,
        store: Arc<dyn ViewStore>,
        check_interval: Duration,
    ) -> Self {
        let (log_gate, store_gate) = (Gate::default(), Gate::default());
        Self { log, store, log_gate, store_gate, check_interval }
    }

    /// The gates that it opens: to the log and to the store.
    pub(super) fn gates(&self) -> (Gate, Gate) {
        (self.log_gate.clone(), self.store_gate.clone())
    }

    /// Checks both once, for a while. What does not answer is waited for by [`Self::run`].
    pub(super) async fn first_check(&self) -> Result<(), AppError> {
        let log = tokio::time::timeout(FIRST_CHECK, self.check_log());
        let store = tokio::time::timeout(FIRST_CHECK, self.check_store());
        let (log, store) = tokio::join!(log, store);
        if let Ok(Err(error)) = log
            && !error.is_retryable()
        {
            return Err(error.into());
        }
        if let Ok(Err(error @ StoreError::Settings(_))) = store {
            return Err(error.into());
        }
        Ok(())
    }

    /// Keeps the gates until the process goes down.
    pub(super) async fn run(self, stop: Shutdown) {
        tokio::select! {
            ((), ()) = async { tokio::join!(self.keep_log(), self.keep_store()) } => {}
            () = stop.requested() => {}
        }
    }

    async fn keep_log(&self) {
        let mut said = String::new();
        while !self.log_gate.is_open() {
            if let Err(error) = self.check_log().await {
                say_once(&mut said, "waiting for the log", error.to_string());
                tokio::time::sleep(RETRY_DELAY).await;
            }
        }
    }

    async fn keep_store(&self) {
        let mut said = String::new();
        loop {
            match self.check_store().await {
                Ok(()) => {
                    if !std::mem::take(&mut said).is_empty() {
                        tracing::info!("the view store is as it must be again");
                    }
                    tokio::time::sleep(self.check_interval).await;
                }
                Err(error) => {
                    say_once(&mut said, "waiting for the view store", error.to_string());
                    tokio::time::sleep(RETRY_DELAY).await;
                }
            }
        }
    }

    async fn check_log(&self) -> Result<(), LogError> {
        let checked = self.log.check().await;
        self.log_gate.set(match &checked {
            Ok(()) => GateState::Open,
            Err(error) if error.is_retryable() => GateState::Waiting(error.to_string()),
            Err(error) => GateState::Refused(error.to_string()),
        });
        checked
    }

    async fn check_store(&self) -> Result<(), StoreError> {
        let checked = self.store.check().await;
        match &checked {
            Ok(()) => self.store_gate.set(GateState::Open),
            Err(error @ StoreError::Settings(_)) => {
                self.store_gate.set(GateState::Refused(error.to_string()));
            }
            // A store that was good and does not answer now is told of by each call.
            Err(_) if self.store_gate.is_open() => {}
            Err(error) => self.store_gate.set(GateState::Waiting(error.to_string())),
        }
        checked
    }
}

/// Logs why something is waited for, unless that was the last thing said: it is asked twice a
/// second.
fn say_once(said: &mut String, waiting: &str, error: String) {
    if *said != error {
        tracing::warn!(error, "{waiting}");
        *said = error;
    }
}
