//! The message timer of the original design: every tick produces a message.

use crate::commands::{Message, MessageCommand};
use crate::contract::{Instruction, Tick};

/// A message with the tick's text, under an id that no other tick has.
#[must_use]
pub fn timed_message(tick: &Tick) -> Instruction {
    let produce = MessageCommand::ProduceMessage { text: tick.text.clone() };
    Instruction::to::<Message>(format!("timer-{}", tick.time), &produce)
}
