//! The timer: one command for each tick, however many nodes there are.
//!
//! A tick is a multiple of the interval, the same on every node, and the command's id is made of
//! it: whoever comes first issues it, and to all others it was issued before. A tick at which no
//! node could issue it is left out.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use crate::config::TimerConfig;
use crate::contract::{Instruction, Key, Tick, Time};
use crate::events::CommandId;
use crate::ports::Ids;
use crate::shutdown::Shutdown;
use crate::write::{CommandError, Commands, SendOptions};

/// How long it waits before it tries again.
const RETRY_DELAY: Duration = Duration::from_millis(100);

/// What a tick asks for.
///
/// ```
/// use retell::react::timer::OnTick;
/// use retell::{Instruction, Tick, Time};
/// # use retell::doc::{Light, LightCommand};
///
/// let dark: OnTick = |_| Instruction::to::<Light>("cellar", &LightCommand::SwitchOff {});
/// let tick = Tick { time: Time::from_millis(60_000), text: "a minute".to_owned() };
/// let expected = Instruction::to::<Light>("cellar", &LightCommand::SwitchOff {});
/// assert_eq!(dark(&tick), expected);
/// ```
pub type OnTick = fn(&Tick) -> Instruction;

/// The handle to the timer. Cheap to clone.
///
/// ```
/// use std::time::Duration;
///
/// use retell::{Instruction, Tick, app::App, config::Config};
/// # use retell::doc::{Light, LightCommand};
///
/// fn dark(_: &Tick) -> Instruction {
///     Instruction::to::<Light>("cellar", &LightCommand::SwitchOff {})
/// }
/// # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut config = Config::ephemeral();
/// (config.timer.enabled, config.timer.interval) = (true, Duration::from_millis(10));
/// let app = App::builder(config).aggregate::<Light>(()).timer(dark).build().await?;
/// let timer = app.door().timer;
/// # while timer.status().last.is_none() { tokio::time::sleep(Duration::from_millis(5)).await }
/// // After a while there was a tick.
/// assert!(timer.status().command_id.is_some_and(|id| id.starts_with("timer:")));
/// # app.stop().await; Ok(()) }
/// ```
#[derive(Clone)]
pub struct Timer(watch::Receiver<TimerStatus>);

/// How the timer stands.
///
/// ```
/// use retell::app::App;
///
/// # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let app = App::ephemeral().build().await?;
/// let status = app.door().timer.status();
/// assert!(!status.enabled && status.last.is_none());
/// assert_eq!(status.interval_ms, 60_000);
/// # app.stop().await; Ok(()) }
/// ```
#[derive(Clone, Debug, Default, Eq, JsonSchema, PartialEq, Serialize)]
pub struct TimerStatus {
    /// Whether it runs on this node.
    pub enabled: bool,
    /// From one tick to the next, in milliseconds.
    pub interval_ms: u64,
    /// The last tick whose command has an outcome that this node knows.
    pub last: Option<Time>,
    /// The id of that command.
    pub command_id: Option<String>,
    /// What was in the way of the last command, or why it was refused.
    pub problem: Option<String>,
}

/// What the timer works with.
struct Clockwork {
    config: TimerConfig,
    on_tick: OnTick,
    commands: Commands,
    ids: Ids,
    status: watch::Sender<TimerStatus>,
}

impl Timer {
    /// A timer that issues what `on_tick` says, where the settings enable it; with what it runs
    /// in, until `shutdown`.
    pub fn new(
        config: TimerConfig,
        on_tick: Option<OnTick>,
        commands: Commands,
        ids: Ids,
        shutdown: Shutdown,
    ) -> (Self, impl Future<Output = ()> + Send + 'static) {
        let interval_ms = u64::try_from(config.interval.as_millis()).unwrap_or(u64::MAX);
        let enabled = config.enabled && on_tick.is_some();
        let status = TimerStatus { enabled, interval_ms, ..TimerStatus::default() };
        let (status, receiver) = watch::channel(status);
        let clockwork = on_tick.filter(|_| enabled).map(|on_tick| Clockwork {
            config,
            on_tick,
            commands,
            ids,
            status,
        });
        let run = async move {
            let Some(clockwork) = clockwork else { return };
            tokio::select! {
                biased;
                () = shutdown.requested() => {}
                () = clockwork.run() => {}
            }
        };
        (Self(receiver), run)
    }

    /// How it stands.
    #[must_use]
    pub fn status(&self) -> TimerStatus {
        self.0.borrow().clone()
    }
}

impl Clockwork {
    async fn run(self) {
        let mut last = self.tick_at(self.ids.now());
        loop {
            let next = last.after(self.config.interval);
            let now = self.ids.now();
            if now < next {
                sleep(Duration::from_millis(next.millis_since(now))).await;
                continue;
            }
            // After a long sleep of the machine the ticks between are left out.
            last = self.tick_at(now);
            // What could not be issued before the next tick is left out, too.
            drop(timeout(self.config.interval, self.issue(last)).await);
        }
    }

    /// The last tick at this time.
    fn tick_at(&self, now: Time) -> Time {
        let interval = i64::try_from(self.config.interval.as_millis()).unwrap_or(i64::MAX);
        Time::from_millis(now.millis().div_euclid(interval) * interval)
    }

    /// Issues the command of a tick, again until it has an outcome.
    async fn issue(&self, time: Time) {
        let text = self.config.text.replace("{time}", &time.to_string());
        let to = (self.on_tick)(&Tick { time, text });
        let (Ok(id), Ok(json)) = (Key::new(&to.id), &to.command) else {
            let problem = Some(format!("the command of a tick cannot be sent: {to:?}"));
            self.status.send_modify(|status| status.problem = problem);
            return;
        };
        let command_id = CommandId::of_tick(time);
        loop {
            let options = SendOptions {
                command_id: Some(command_id.clone()),
                repeatable: true,
                ..SendOptions::default()
            };
            let sent = self.commands.submit(to.aggregate_type, &id, json.clone(), options).await;
            let problem = match &sent {
                Ok(_) => None,
                Err(error) => Some(error.to_string()),
            };
            let is_over = !matches!(sent, Err(CommandError::Failed(_)));
            self.status.send_modify(|status| {
                status.problem = problem;
                if is_over {
                    status.last = Some(time);
                    status.command_id = Some(command_id.to_string());
                }
            });
            if is_over {
                return;
            }
            sleep(RETRY_DELAY).await;
        }
    }
}
