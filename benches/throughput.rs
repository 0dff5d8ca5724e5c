//! Placeholder until the benchmark lands in this issue.
fn main() {}
