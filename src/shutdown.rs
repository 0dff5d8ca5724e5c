//! The signal to stop: asked for once, seen by every part.

use tokio::sync::watch;

/// A request to stop that everybody who has a clone can make and see.
#[derive(Clone, Debug)]
pub struct Shutdown(watch::Sender<bool>);

impl Default for Shutdown {
    fn default() -> Self {
        Self(watch::Sender::new(false))
    }
}

impl Shutdown {
    /// Asks everybody to stop. Asking again changes nothing.
    pub fn request(&self) {
        self.0.send_replace(true);
    }

    /// Whether somebody has asked.
    #[must_use]
    pub fn is_requested(&self) -> bool {
        *self.0.borrow()
    }

    /// Returns once somebody has asked.
    pub async fn requested(&self) {
        let mut asked = self.0.subscribe();
        // The sender is in `self`, so it cannot be gone.
        drop(asked.wait_for(|&asked| asked).await);
    }
}
