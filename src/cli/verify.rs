//! `retell verify [PROJECTION]`: compares every live view of a running service with what the log
//! makes of it, as of the same position, while the service serves.
//!
//! Exit code 0: all are equal; 1: some differ, or it could not be told.

use std::time::{Duration, Instant};

use indicatif::HumanCount;

use super::following::{Job, follow, id_of, start};
use super::service::Service;
use super::{Outcome, say};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The projection; without one, all of them
    projection: Option<String>,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    service: Service,
}

pub(super) async fn run(args: Args) -> anyhow::Result<Outcome> {
    let client = args.service.client()?;
    let begun = Instant::now();
    let body = serde_json::json!({ "projection": args.projection });
    let location = start(&client, "admin/verifications", body).await?;
    let Some(verification) = follow(&client, &location).await? else {
        // Nobody would hear of what it finds.
        let id = id_of(&location);
        client.ask(reqwest::Method::DELETE, location.clone(), None).await?;
        eprintln!("verification {id} was cancelled");
        return Ok(Outcome::Failed);
    };
    match args.json {
        true => say(&String::from_utf8_lossy(&verification.json))?,
        false => say(&ending(&verification, begun.elapsed()))?,
    }
    Ok(if verification.state == "equal" { Outcome::Done } else { Outcome::Failed })
}

fn ending(verification: &Job, took: Duration) -> String {
    let names = verification.projections.join(", ");
    let (views, seconds) = (HumanCount(verification.compared.views), took.as_secs_f64());
    let mut text = match (verification.state.as_str(), &verification.error) {
        ("equal", _) => {
            format!(
                "verified {names}: {views} views are what the log makes of them ({seconds:.1} s)"
            )
        }
        ("differs", _) => format!("verified {names}: {}", verification.compared.told()),
        (state, Some(error)) => format!("verification of {names} {state}: {error}"),
        (state, None) => format!("verification of {names} {state}"),
    };
    for parked in &verification.parked {
        text += &format!("\n{parked}");
    }
    text
}
