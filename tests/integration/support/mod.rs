//! What the tests share: parts of an application, put together for a test.

pub(crate) mod shipped;
pub(crate) mod slow;
pub(crate) mod writers;
