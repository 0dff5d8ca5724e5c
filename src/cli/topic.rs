//! `retell topic`: the topic that is the log, checked or created before a service needs it.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use serde::Serialize;

use crate::app::{SystemClock, open_log};
use crate::config::LogUrl;
use crate::contract::Partition;

use super::{Outcome, Usage, say, settings};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    action: Action,
    /// Settings over the defaults
    #[arg(long, value_name = "FILE", global = true)]
    config: Option<PathBuf>,
    /// Print the result as JSON
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Clone, Copy, Debug, clap::Subcommand)]
enum Action {
    /// Say whether the topic is there and as Retell needs it
    Check,
    /// Create the topic if it is not there, and check it
    Create,
}

#[derive(Serialize)]
struct Topic<'a> {
    topic: &'a str,
    partitions: u32,
    ok: bool,
}

pub(super) async fn run(args: Args) -> anyhow::Result<Outcome> {
    let config = settings::load(args.config.as_deref())?.log;
    if !matches!(config.url, LogUrl::Kafka(_)) {
        let url = &config.url;
        let help =
            format!("log.url is {url}, which has no topic; set it to kafka://HOST:PORT/TOPIC");
        return Err(Usage(help).into());
    }
    let log = open_log(&config, Arc::new(SystemClock)).await?;
    if let Action::Check = args.action {
        // The check itself would create it.
        let end = log.end(Partition(0)).await;
        end.with_context(|| {
            format!("{} is not there yet, `retell topic create` creates it, or", log.name())
        })?;
    }
    log.check().await?;
    let (topic, partitions) = (log.name(), log.partitions().count());
    if args.json {
        say(&serde_json::to_string(&Topic { topic, partitions, ok: true })?)?;
    } else {
        say(&format!("{topic} is there with {partitions} partitions and right in every setting"))?;
    }
    Ok(Outcome::Done)
}
