//! Everything that is tested from outside a module, in one binary: each one links librdkafka.
//!
//! Live tests need `RETELL_TEST_KAFKA`, `RETELL_TEST_REDIS` and `RETELL_TEST_REDIS_CLUSTER`, which
//! `make test` sets; without them they fail, they are never skipped. So do those of `browser`
//! without Chromium and chromedriver.

#![expect(clippy::panic, reason = "a test says what it saw by panicking")]
#![expect(clippy::disallowed_methods, reason = "names that no other test uses need real chance")]

mod browser;
mod conformance;
mod faults;
mod properties;
mod samples;
mod scenarios;
mod simulation;
mod support;
mod view_samples;
