//! The `retell` command: parses, starts telemetry, dispatches, and exits with a code.

fn main() {}
