//! `consume-message`: every message that is produced is consumed.

use crate::commands::{Message, MessageCommand};
use crate::contract::{Instruction, Policy, Recorded, Sources};
use crate::events::message::MessageEvent;

/// Every message that is produced is consumed.
///
/// ```
/// use retell::Instruction;
/// use retell::commands::{Message, MessageCommand};
/// use retell::events::message::MessageEvent;
/// use retell::policies::ConsumeMessage;
/// use retell::test::PolicyTest;
///
/// PolicyTest::of(ConsumeMessage)
///     .when::<Message>("m-1", MessageEvent::MessageProduced { text: "hello".into() })
///     .then([Instruction::to::<Message>("m-1", &MessageCommand::ConsumeMessage {})]);
/// ```
///
/// The policy `consume-message`.
#[derive(Clone, Copy, Debug)]
pub struct ConsumeMessage;

impl Policy for ConsumeMessage {
    const NAME: &'static str = "consume-message";

    fn sources(&self) -> Sources {
        Sources::default().and::<Message>()
    }

    fn react(&self, recorded: &Recorded<'_>) -> Vec<Instruction> {
        match recorded.event::<Message>() {
            Some(MessageEvent::MessageProduced { .. }) => {
                let consume = MessageCommand::ConsumeMessage {};
                vec![Instruction::to::<Message>(recorded.id(), &consume)]
            }
            Some(MessageEvent::MessageConsumed {}) | None => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::test::PolicyTest;

    use super::*;

    #[test]
    fn a_message_that_is_produced_is_consumed_and_that_is_all() {
        let consume = Instruction::to::<Message>("m-1", &MessageCommand::ConsumeMessage {});
        PolicyTest::of(ConsumeMessage)
            .when::<Message>("m-1", MessageEvent::MessageProduced { text: "hello".into() })
            .then([consume])
            .when::<Message>("m-1", MessageEvent::MessageConsumed {})
            .then([]);
    }
}
