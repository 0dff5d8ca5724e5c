//! Ticks: what a timer makes commands of.

use super::Time;

/// One beat of the timer.
///
/// ```
/// use retell::{Instruction, Tick};
/// # use retell::doc::{Light, LightCommand};
///
/// /// At each tick the light of the cellar is switched off.
/// fn on_tick(_: &Tick) -> Instruction {
///     Instruction::to::<Light>("cellar", &LightCommand::SwitchOff {})
/// }
/// let application = retell::app::App::ephemeral().timer(on_tick);
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Tick {
    /// When it is: a multiple of `timer.interval_ms` since 1970, the same on every node.
    pub time: Time,
    /// What `timer.text` says at this time.
    pub text: String,
}
