//! What the help of each subcommand ends with: calls that can be copied.

pub(super) const SERVE: &str = "\
Examples:
  retell
  retell serve --config config/production.toml
  RETELL_HTTP__LISTEN=127.0.0.1:9000 retell";

pub(super) const CONFIG: &str = "\
Examples:
  retell config
  retell config --config config/production.toml --json";

pub(super) const KEY: &str = "\
Examples:
  retell key new shop --role read --role write:account
  retell key new grafana";

pub(super) const TOPIC: &str = "\
Examples:
  retell topic check --config config/production.toml
  retell topic create --config config/production.toml";

pub(super) const LOG: &str = "\
Examples:
  retell log copy --from embedded:./data/log --to kafka://127.0.0.1:9092/retell.events
  retell log copy --from kafka://127.0.0.1:9092/retell.events --to file:backup.ndjson";

pub(super) const STATUS: &str = "\
Examples:
  retell status
  retell status --url http://127.0.0.1:8080 --json";

pub(super) const HISTORY: &str = "\
Examples:
  retell history account/ann
  retell history account/ann --json";

pub(super) const REPLAY: &str = "\
Examples:
  retell replay accounts
  retell replay accounts --records-per-second 20000 --require-equal
  retell replay --cancel 01a22044-4f75-7fed-9582-19a24798b33c";

pub(super) const VERIFY: &str = "\
Examples:
  retell verify
  retell verify accounts --json";

pub(super) const PARKED: &str = "\
Examples:
  retell parked
  retell parked retry accounts:5:account%2Fann";

pub(super) const SEND: &str = "\
Examples:
  retell send commands.ndjson
  retell send - --json";

pub(super) const COMPLETIONS: &str = "\
Examples:
  retell completions bash > /etc/bash_completion.d/retell
  retell completions zsh > ~/.zfunc/_retell
  retell completions fish > ~/.config/fish/completions/retell.fish";

#[cfg(test)]
mod tests {
    use clap::{Command, CommandFactory, Parser};

    use super::super::Cli;

    #[test]
    fn every_subcommand_ends_its_help_with_calls_that_are_understood() {
        for subcommand in Cli::command().get_subcommands() {
            let name = subcommand.get_name();
            let help = subcommand.get_after_help().map(ToString::to_string).unwrap_or_default();
            let mut calls = 0;
            for line in help.lines().filter_map(|line| line.strip_prefix("  ")) {
                let line = line.split(" > ").next().unwrap_or_default();
                let words = line.split_whitespace().skip_while(|word| word.contains('='));
                if let Err(error) = Cli::try_parse_from(words) {
                    panic!("{line}: {error}");
                }
                calls += 1;
            }
            assert!(calls > 0, "{name} has no examples");
        }
    }

    /// The commands that do something, such as `log copy`.
    fn leaves(command: &Command, path: &str, found: &mut Vec<(String, bool)>) {
        for command in command.get_subcommands() {
            let path = format!("{path} {}", command.get_name());
            if command.has_subcommands() {
                leaves(command, &path, found);
            } else {
                let has_json = command.get_arguments().any(|it| it.get_long() == Some("json"));
                found.push((path.trim_start().to_owned(), has_json));
            }
        }
    }

    /// One prints a script, the other a line when it is ready and nothing more.
    const WITHOUT_JSON: [&str; 2] = ["serve", "completions"];

    #[test]
    fn every_command_that_prints_can_print_json() {
        let (mut command, mut found) = (Cli::command(), Vec::new());
        // So that options of a whole group are known to each of its members.
        command.build();
        leaves(&command, "", &mut found);
        found.retain(|(path, _)| path.split(' ').all(|name| name != "help"));
        assert!(found.len() > 10, "{found:?}");
        let without = found.iter().filter(|(_, has_json)| !has_json).map(|(path, _)| path.as_str());
        assert_eq!(without.collect::<Vec<_>>(), WITHOUT_JSON);
    }
}
