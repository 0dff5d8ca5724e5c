//! What the tests share: parts of an application, and servers, put together for a test.

pub(crate) mod app;
pub(crate) mod outage;
pub(crate) mod redis;
pub(crate) mod shipped;
pub(crate) mod slow;
pub(crate) mod writers;
