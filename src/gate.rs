//! What must be true before the loops touch a port: it answers, and its settings are right.

use tokio::sync::watch;

/// Whether a port may be used. Cheap to clone.
///
/// ```
/// use retell::gate::{Gate, GateState};
///
/// # #[tokio::main] async fn main() {
/// let gate = Gate::default();
/// assert!(!gate.is_open());
/// let (checker, worker) = (gate.clone(), gate);
/// tokio::spawn(async move { checker.set(GateState::Open) });
/// worker.opened().await;
/// assert!(worker.is_open());
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Gate(watch::Sender<GateState>);

/// How a gate stands.
///
/// ```
/// use retell::gate::{Gate, GateState};
///
/// # #[tokio::main] async fn main() {
/// let gate = Gate::default();
/// assert_eq!(gate.state(), GateState::Waiting("not checked yet".into()));
/// gate.set(GateState::Refused("log.partitions is 8, the topic has 16".into()));
/// assert_eq!(gate.refused().await, "log.partitions is 8, the topic has 16");
/// # }
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum GateState {
    /// The port has not been checked, or does not answer.
    Waiting(String),
    /// The port was checked and may be used.
    Open,
    /// The port's settings are wrong. A person must mend them.
    Refused(String),
}

impl Default for Gate {
    fn default() -> Self {
        Self(watch::Sender::new(GateState::Waiting("not checked yet".to_owned())))
    }
}

impl Gate {
    /// Says how the port stands.
    pub fn set(&self, state: GateState) {
        self.0.send_if_modified(|now| {
            let changed = *now != state;
            *now = state;
            changed
        });
    }

    /// How the port stands.
    #[must_use]
    pub fn state(&self) -> GateState {
        self.0.borrow().clone()
    }

    /// Whether the port may be used.
    #[must_use]
    pub fn is_open(&self) -> bool {
        *self.0.borrow() == GateState::Open
    }

    /// Returns once the port may be used.
    pub async fn opened(&self) {
        let mut state = self.0.subscribe();
        // The sender is in `self`, so it cannot be gone.
        drop(state.wait_for(|state| *state == GateState::Open).await);
    }

    /// Returns once the port was refused, with the reason.
    pub async fn refused(&self) -> String {
        let mut state = self.0.subscribe();
        loop {
            if let GateState::Refused(reason) = &*state.borrow_and_update() {
                return reason.clone();
            }
            // The sender is in `self`, so it cannot be gone.
            drop(state.changed().await);
        }
    }
}
