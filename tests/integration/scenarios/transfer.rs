//! The transfer of money of the example, given/when/then: its decisions, and its process.

use retell::commands::{Account, AccountCommand};
use retell::test::{ProcessTest, TestFramework, check_events};
use retell::{Answer, Instruction, Refusal};

use crate::support::transfer::{
    ACCEPT_WITHIN, MoneyTransfer, Step, Transfer, TransferCommand, TransferEvent,
};

fn started() -> TransferEvent {
    TransferEvent::Started { from: "ann".into(), to: "bob".into(), amount: 200 }
}

fn debited() -> TransferEvent {
    TransferEvent::Debited { from: "ann".into(), amount: 200 }
}

fn accepted() -> TransferEvent {
    TransferEvent::Accepted { to: "bob".into(), amount: 200 }
}

fn returned(reason: &str) -> TransferEvent {
    TransferEvent::Returned { from: "ann".into(), amount: 200, reason: reason.into() }
}

fn note(step: Step, refused: Option<&str>) -> TransferCommand {
    TransferCommand::Note { step, refused: refused.map(str::to_owned) }
}

fn decides(given: Vec<TransferEvent>, command: TransferCommand, then: TransferEvent) {
    TestFramework::<Transfer>::with(()).given(given).when(command).then_expect_events(vec![then]);
}

#[test]
fn money_goes_from_one_account_to_the_other_once_it_is_accepted() {
    decides(vec![started()], note(Step::Debit, None), debited());
    decides(vec![started(), debited()], TransferCommand::Accept {}, accepted());
    let credited = vec![started(), debited(), accepted()];
    decides(credited, note(Step::Credit, None), TransferEvent::Completed {});
}

#[test]
fn who_has_too_little_pays_nothing() {
    let reason = "insufficient funds".to_owned();
    let failed = TransferEvent::Failed { reason: reason.clone() };
    decides(vec![started()], note(Step::Debit, Some(&reason)), failed);
}

#[test]
fn what_cannot_be_paid_in_is_paid_back() {
    let waiting = || vec![started(), debited()];
    decides(waiting(), TransferCommand::Decline {}, returned("declined"));
    decides(waiting(), TransferCommand::Expire {}, returned("not accepted in time"));
    let crediting = vec![started(), debited(), accepted()];
    decides(crediting, note(Step::Credit, Some("closed")), returned("closed"));
    let refunding = || vec![started(), debited(), returned("declined")];
    let failed = TransferEvent::Failed { reason: "declined".into() };
    decides(refunding(), note(Step::Refund, None), failed);
    let stranded = TransferEvent::Stranded { amount: 200, reason: "closed".into() };
    decides(refunding(), note(Step::Refund, Some("closed")), stranded);
}

#[test]
fn a_deadline_that_comes_too_late_changes_nothing() {
    let over = vec![started(), debited(), accepted(), TransferEvent::Completed {}];
    let test = TestFramework::<Transfer>::with(()).given(over);
    test.when(TransferCommand::Expire {}).then_expect_events(vec![]);
}

#[test]
fn each_event_has_its_step_and_each_answer_is_noted() {
    let account = |id: &str, command| Instruction::to::<Account>(id, &command);
    let transfer = |command| Instruction::to::<Transfer>("rent", &command);
    let withdraw = account("ann", AccountCommand::WithdrawMoney { amount: 200 });
    let refusal = Refusal::new("insufficient_funds", "too little");
    ProcessTest::of(MoneyTransfer)
        .when::<Transfer>("rent", started())
        .then([withdraw])
        .answered(0, Answer::Done)
        .then([transfer(note(Step::Debit, None))])
        .when::<Transfer>("rent", started())
        .answered(0, Answer::Refused(refusal))
        .then([transfer(note(Step::Debit, Some("too little")))])
        .when::<Transfer>("rent", debited())
        .then([transfer(TransferCommand::Expire {}).after(ACCEPT_WITHIN)])
        .when::<Transfer>("rent", accepted())
        .then([account("bob", AccountCommand::DepositMoney { amount: 200 })])
        .when::<Transfer>("rent", returned("declined"))
        .then([account("ann", AccountCommand::DepositMoney { amount: 200 })])
        .answered(0, Answer::Done)
        .then([transfer(note(Step::Refund, None))]);
}

#[test]
fn events_are_stored_under_their_tags_and_read_back() {
    let failed = TransferEvent::Failed { reason: "declined".into() };
    let stranded = TransferEvent::Stranded { amount: 200, reason: "closed".into() };
    let completed = TransferEvent::Completed {};
    let all = [started(), debited(), accepted(), returned("x"), completed, failed, stranded];
    check_events::<Transfer>(&all);
}
