//! `retell key new`: a key that is shown once, and the line by which the service knows it.

use anyhow::Context;

use crate::auth::{Grants, NewKey};

use super::{Outcome, Usage, say};

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Make a key, and print it with its line for the file that auth.keys_file names
    ///
    /// Only the line is kept, which holds the key's SHA-256. A running service takes a new line,
    /// and the removal of one, within auth.reload_interval_ms.
    #[command(after_help = "Example:\n  retell key new shop --role read --role write:account")]
    New(New),
}

#[derive(Debug, clap::Args)]
pub(super) struct New {
    /// The caller's name, which stands in records as their actor
    name: String,
    /// read, audit, write or admin; or of one aggregate type or projection, such as write:account.
    /// Without a role the key is good for /metrics and /admin/me only
    #[arg(long = "role", value_name = "ROLE")]
    roles: Vec<String>,
    /// Print key and line as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(Command::New(new): &Command) -> anyhow::Result<Outcome> {
    let grants: Grants =
        new.roles.join(",").parse().map_err(|error| Usage(format!("--role: {error}")))?;
    let made = NewKey::random(&new.name, &grants).context("no random numbers")?;
    let NewKey { key, line } = made.ok_or_else(|| {
        let detail = "has 1 to 200 bytes, no spaces, and does not begin with #";
        Usage(format!("the name of a caller {detail}"))
    })?;
    if new.json {
        say(&serde_json::json!({ "key": key, "line": line }).to_string())?;
    } else {
        say(&format!("key (kept nowhere, shown once):  {key}"))?;
        say(&format!("line for auth.keys_file:         {line}"))?;
    }
    Ok(Outcome::Done)
}
