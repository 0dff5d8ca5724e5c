//! The test kit for users: given events, when another happens, then a view; nothing runs outside
//! the test's own thread, and no clock is read.
//!
//! | what | with |
//! |---|---|
//! | an aggregate's decisions | [`TestFramework`], which is that of `cqrs-es` |
//! | the stored form of its events | [`check_events`] |
//! | what was ever stored of them | [`check_stored_events`] |
//! | a [`Projection`](crate::Projection) | [`ProjectionTest`] |
//! | a [`MergedProjection`](crate::MergedProjection) | [`MergedTest`], [`check_merge`] |
//! | a [`LinkedProjection`](crate::LinkedProjection) | the same |
//! | a [`Policy`](crate::Policy) | [`PolicyTest`] |
//! | a [`Process`](crate::Process) | [`ProcessTest`] |
//! | that a changed view has another revision | [`check_view`], [`check_merged_view`] |
//!
//! The kit panics where an expectation does not hold, as tests do. It folds twice beside each
//! other: in memory, and with each view written as JSON and read back after every event. A view
//! that differs then would differ after a restart.

mod events;
mod merged;
mod policy;
mod process;
mod projection;
mod recorder;
mod twin;
mod views;

pub use cqrs_es::test::TestFramework;

pub use events::{check_events, check_stored_events};
pub use merged::{MergedTest, check_merge};
pub use policy::PolicyTest;
pub use process::ProcessTest;
pub use projection::{GivenEvents, ProjectionTest};
pub use recorder::time_of_event;
pub use views::{check_merged_view, check_view};
