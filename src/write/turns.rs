//! The order of commands that are sent one behind the other, before the first has its outcome.
//!
//! Each has its turn, which comes when the one before it was decided. What was not decided, for
//! whatever reason, does not pass the turn on, so nothing behind it is decided instead of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Numbers the commands for one aggregate, in the order in which they will be sent.
///
/// ```
/// use retell::write::{FullPartitions, SendOptions, Turns};
/// use retell::{Key, Version, app::App};
/// # use retell::doc::Light;
///
/// # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let app = App::ephemeral().aggregate::<Light>(()).build().await?;
/// app.ready().await;
/// let (hall, mut full) = (Key::new("hall")?, FullPartitions::default());
/// let (mut turns, mut sent) = (Turns::default(), Vec::new());
/// for json in [r#"{"type":"SwitchOn"}"#, r#"{"type":"SwitchOff"}"#] {
///     let options = SendOptions { turn: Some(turns.issue()), ..SendOptions::default() };
///     sent.push(app.commands().enqueue("light", &hall, json.into(), options, &mut full).await?);
/// }
/// // Had the first one not been decided, the second would be a `Failure::OutOfTurn`.
/// let last = sent.pop().expect("two were sent");
/// assert_eq!(last.outcome().await?.version, Version(2));
/// # app.stop().await; Ok(()) }
/// ```
#[derive(Debug, Default)]
pub struct Turns {
    issued: u64,
    /// The number of the command that is to be decided.
    next: Arc<AtomicU64>,
}

/// A command's place among those of its aggregate; see [`Turns`].
///
/// ```
/// use retell::write::{FullPartitions, SendOptions, Turns};
/// use retell::{Key, app::App};
/// # use retell::doc::Light;
///
/// # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let app = App::ephemeral().aggregate::<Light>(()).build().await?;
/// app.ready().await;
/// let mut turns = Turns::default();
/// drop(turns.issue()); // the first one is not sent, so the second is not decided
/// let options = SendOptions { turn: Some(turns.issue()), ..SendOptions::default() };
/// let (hall, json) = (Key::new("hall")?, r#"{"type":"SwitchOn"}"#.into());
/// let full = &mut FullPartitions::default();
/// let sent = app.commands().enqueue("light", &hall, json, options, full).await?;
/// let failed = sent.outcome().await.expect_err("it is not its turn");
/// assert_eq!(failed.to_string(), "a command that was sent before it was not decided");
/// # app.stop().await; Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct Turn {
    number: u64,
    next: Arc<AtomicU64>,
}

impl Turns {
    /// That of the next command.
    pub fn issue(&mut self) -> Turn {
        let number = self.issued;
        self.issued += 1;
        Turn { number, next: self.next.clone() }
    }
}

/// Only the writer of the aggregate changes whose turn it is, so nothing has to be ordered.
impl Turn {
    /// Whether all before it were decided.
    pub(super) fn has_come(&self) -> bool {
        self.number <= self.next.load(Ordering::Relaxed)
    }

    /// Notes that the command was decided.
    pub(super) fn pass_on(&self) {
        self.next.fetch_max(self.number + 1, Ordering::Relaxed);
    }

    /// Notes that it has to be decided again, as all that were decided after it.
    pub(super) fn take_back(&self) {
        self.next.fetch_min(self.number, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_comes_when_all_before_it_were_decided_and_goes_when_one_is_to_be_decided_again() {
        let mut turns = Turns::default();
        let all = [turns.issue(), turns.issue(), turns.issue()];
        let come = || all.iter().filter(|turn| turn.has_come()).count();
        assert_eq!(come(), 1);
        all[0].pass_on();
        all[1].pass_on();
        all[0].pass_on();
        assert_eq!(come(), 3, "what was decided twice takes nothing back");
        all[1].take_back();
        all[0].take_back();
        assert_eq!(come(), 1);
    }
}
