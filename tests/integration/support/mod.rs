//! What tests of several folders share.

pub(crate) mod redis;
