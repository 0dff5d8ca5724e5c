//! A transfer of money between two accounts: an aggregate that knows how far it is, and a process
//! that does the steps. Money is taken from one account, waits until the recipient accepts, and is
//! paid into the other, or back when it cannot be, is declined, or nobody accepts in time.
//!
//! `cargo run --example transfer`; what is given, happens and follows is in
//! `tests/integration/scenarios/transfer.rs`.

use std::time::Duration;

use cqrs_es::{DomainEvent, event_sink::EventSink};
use retell::app::App;
use retell::commands::{Account, AccountCommand};
use retell::projections::Accounts;
use retell::write::SendOptions;
use retell::{
    Aggregate, Answer, Instruction, Position, Process, Projection, Recorded, Refusal, Sources,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How long a recipient may take to accept.
pub(crate) const ACCEPT_WITHIN: Duration = Duration::from_secs(300);

// ---- command

/// An order to a transfer.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
pub(crate) enum TransferCommand {
    /// Begins it.
    Start {
        /// The account that pays.
        from: String,
        /// The account that is paid.
        to: String,
        /// How much, in minor units.
        amount: i64,
    },
    /// The recipient wants the money.
    Accept {},
    /// The recipient does not want it.
    Decline {},
    /// Nobody accepted in time; when somebody has, nothing happens.
    Expire {},
    /// What a step has come to; the process says so.
    Note {
        /// The step.
        step: Step,
        /// Why it was refused, if it was.
        refused: Option<String>,
    },
}

/// A step of a transfer.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub(crate) enum Step {
    /// Money is taken from the account that pays.
    Debit,
    /// Money is paid into the other.
    Credit,
    /// Money is paid back.
    Refund,
}

// ---- event

/// What happened to a transfer.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
pub(crate) enum TransferEvent {
    /// It was ordered.
    Started { from: String, to: String, amount: i64 },
    /// The money is on its way.
    Debited { from: String, amount: i64 },
    /// It is to be paid into the other account.
    Accepted { to: String, amount: i64 },
    /// It is to be paid back.
    Returned { from: String, amount: i64, reason: String },
    /// The other account has it.
    Completed {},
    /// The first account has it again, or never lost it.
    Failed { reason: String },
    /// Neither account takes it any more: a person must see to it.
    Stranded { amount: i64, reason: String },
}

/// Why a transfer refuses.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TransferError {
    /// It was started before, or is not at this step.
    #[error("not possible while the transfer is {0:?}")]
    NotNow(Stage),
    /// No money, or to oneself.
    #[error("a transfer needs two accounts and an amount above 0")]
    Pointless,
}

// ---- state

/// How far a transfer is.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) enum Stage {
    #[default]
    New,
    Debiting,
    Waiting,
    Crediting,
    Refunding,
    Over,
    Stranded,
}

/// A transfer as its events left it.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(crate) struct Transfer {
    pub(crate) stage: Stage,
    from: String,
    to: String,
    amount: i64,
    reason: String,
}

impl DomainEvent for TransferEvent {
    fn event_type(&self) -> String {
        let tag = match self {
            Self::Started { .. } => "Started",
            Self::Debited { .. } => "Debited",
            Self::Accepted { .. } => "Accepted",
            Self::Returned { .. } => "Returned",
            Self::Completed {} => "Completed",
            Self::Failed { .. } => "Failed",
            Self::Stranded { .. } => "Stranded",
        };
        tag.to_owned()
    }

    fn event_version(&self) -> String {
        "1".to_owned()
    }
}

impl cqrs_es::Aggregate for Transfer {
    const TYPE: &'static str = "transfer";
    type Command = TransferCommand;
    type Event = TransferEvent;
    type Error = TransferError;
    type Services = ();

    async fn handle(
        &mut self,
        command: TransferCommand,
        (): &(),
        sink: &EventSink<Self>,
    ) -> Result<(), TransferError> {
        if let Some(event) = self.decide(command)? {
            sink.write(event, self).await;
        }
        Ok(())
    }

    fn apply(&mut self, event: TransferEvent) {
        match event {
            TransferEvent::Started { from, to, amount } => {
                *self = Self { stage: Stage::Debiting, from, to, amount, reason: String::new() };
            }
            TransferEvent::Debited { .. } => self.stage = Stage::Waiting,
            TransferEvent::Accepted { .. } => self.stage = Stage::Crediting,
            TransferEvent::Returned { reason, .. } => {
                self.stage = Stage::Refunding;
                self.reason = reason;
            }
            TransferEvent::Completed {} | TransferEvent::Failed { .. } => self.stage = Stage::Over,
            TransferEvent::Stranded { .. } => self.stage = Stage::Stranded,
        }
    }
}

impl Aggregate for Transfer {
    fn refusal(error: &TransferError) -> Refusal {
        let code = match error {
            TransferError::NotNow(_) => "not_now",
            TransferError::Pointless => "pointless",
        };
        Refusal::new(code, error.to_string())
    }
}

// ---- decide

impl Transfer {
    fn decide(&self, command: TransferCommand) -> Result<Option<TransferEvent>, TransferError> {
        use TransferCommand::{Accept, Decline, Expire, Note, Start};
        let (from, to, amount) = (self.from.clone(), self.to.clone(), self.amount);
        let event = match (self.stage, command) {
            (Stage::New, Start { from, to, amount }) if amount > 0 && from != to => {
                TransferEvent::Started { from, to, amount }
            }
            (Stage::New, Start { .. }) => return Err(TransferError::Pointless),
            (Stage::Debiting, Note { step: Step::Debit, refused }) => match refused {
                None => TransferEvent::Debited { from, amount },
                Some(reason) => TransferEvent::Failed { reason },
            },
            (Stage::Waiting, Accept {}) => TransferEvent::Accepted { to, amount },
            (Stage::Waiting, Decline {}) => self.returned("declined"),
            (Stage::Waiting, Expire {}) => self.returned("not accepted in time"),
            (_, Expire {}) => return Ok(None),
            (Stage::Crediting, Note { step: Step::Credit, refused }) => match refused {
                None => TransferEvent::Completed {},
                Some(reason) => self.returned(&reason),
            },
            (Stage::Refunding, Note { step: Step::Refund, refused }) => match refused {
                None => TransferEvent::Failed { reason: self.reason.clone() },
                Some(reason) => TransferEvent::Stranded { amount, reason },
            },
            (stage, _) => return Err(TransferError::NotNow(stage)),
        };
        Ok(Some(event))
    }

    fn returned(&self, reason: &str) -> TransferEvent {
        let (from, amount) = (self.from.clone(), self.amount);
        TransferEvent::Returned { from, amount, reason: reason.to_owned() }
    }
}

// ---- process

/// Does the steps of each transfer.
pub(crate) struct MoneyTransfer;

impl Process for MoneyTransfer {
    const NAME: &'static str = "money-transfer";

    fn sources(&self) -> Sources {
        Sources::default().and::<Transfer>()
    }

    fn react(&self, recorded: &Recorded<'_>) -> Vec<Instruction> {
        let account = |id: &str, command| vec![Instruction::to::<Account>(id, &command)];
        match recorded.event::<Transfer>() {
            Some(TransferEvent::Started { from, amount, .. }) => {
                account(from, AccountCommand::WithdrawMoney { amount: *amount })
            }
            Some(TransferEvent::Debited { .. }) => {
                let expire = TransferCommand::Expire {};
                vec![Instruction::to::<Transfer>(recorded.id(), &expire).after(ACCEPT_WITHIN)]
            }
            Some(TransferEvent::Accepted { to: id, amount })
            | Some(TransferEvent::Returned { from: id, amount, .. }) => {
                account(id, AccountCommand::DepositMoney { amount: *amount })
            }
            _ => Vec::new(),
        }
    }

    fn answered(&self, recorded: &Recorded<'_>, _: usize, answer: &Answer) -> Vec<Instruction> {
        let step = match recorded.event::<Transfer>() {
            Some(TransferEvent::Started { .. }) => Step::Debit,
            Some(TransferEvent::Accepted { .. }) => Step::Credit,
            Some(TransferEvent::Returned { .. }) => Step::Refund,
            _ => return Vec::new(),
        };
        let refused = match answer {
            Answer::Done => None,
            Answer::Refused(refusal) => Some(refusal.detail.to_string()),
        };
        let note = TransferCommand::Note { step, refused };
        vec![Instruction::to::<Transfer>(recorded.id(), &note)]
    }
}

// ---- view

/// What readers see of a transfer.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
pub(crate) struct TransferView {
    /// The last thing that happened.
    pub(crate) last: String,
    /// Why it failed, if it did.
    pub(crate) reason: Option<String>,
    /// What neither account took.
    pub(crate) stranded: i64,
}

/// The view `transfers`.
pub(crate) struct Transfers;

impl Projection for Transfers {
    type Aggregate = Transfer;
    type View = TransferView;
    const NAME: &'static str = "transfers";
    const REVISION: u32 = 1;

    fn fold(
        &self,
        _: Option<TransferView>,
        event: &TransferEvent,
        recorded: &Recorded<'_>,
    ) -> Option<TransferView> {
        let reason = match event {
            TransferEvent::Returned { reason, .. }
            | TransferEvent::Failed { reason }
            | TransferEvent::Stranded { reason, .. } => Some(reason.clone()),
            _ => None,
        };
        let stranded = match event {
            TransferEvent::Stranded { amount, .. } => *amount,
            _ => 0,
        };
        Some(TransferView { last: recorded.event_type().to_owned(), reason, stranded })
    }
}

// ---- the application

/// The view of a transfer once this is the last thing that happened to it.
async fn until(app: &App, id: &str, last: &str, after: Position) -> anyhow::Result<TransferView> {
    loop {
        match app.view::<Transfers>(id, after).await? {
            Some(view) if view.last == last => return Ok(view),
            _ => tokio::time::sleep(Duration::from_millis(2)).await,
        }
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let app = App::ephemeral()
        .aggregate::<Account>(())
        .aggregate::<Transfer>(())
        .projection(Accounts)
        .projection(Transfers)
        .process(MoneyTransfer)
        .build()
        .await?;
    let (commands, options) = (app.commands(), SendOptions::default);
    for owner in ["ann", "bob"] {
        let open = AccountCommand::OpenAccount { owner: owner.to_owned() };
        commands.send::<Account>(owner, open, options()).await?;
    }
    let salary = AccountCommand::DepositMoney { amount: 500 };
    commands.send::<Account>("ann", salary, options()).await?;
    let (from, to) = ("ann".to_owned(), "bob".to_owned());
    let start = TransferCommand::Start { from, to, amount: 200 };
    let started = commands.send::<Transfer>("rent", start, options()).await?;
    until(&app, "rent", "Debited", started.position).await?;
    commands.send::<Transfer>("rent", TransferCommand::Accept {}, options()).await?;
    until(&app, "rent", "Completed", started.position).await?;
    for owner in ["ann", "bob"] {
        let view = app.view::<Accounts>(owner, started.position).await?;
        println!("{owner} has {}", view.map_or(0, |view| view.balance));
    }
    app.stop().await;
    Ok(())
}
