//! Reads a text of another format where it stands, without a copy of it.

use std::fmt::{self, Display};

use serde::de::{Error, Visitor};

/// For `Deserializer::deserialize_str`: what the text is read by.
pub(crate) struct Text<F>(pub(crate) F);

impl<T, E: Display, F: FnOnce(&str) -> Result<T, E>> Visitor<'_> for Text<F> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<D: Error>(self, text: &str) -> Result<T, D> {
        (self.0)(text).map_err(D::custom)
    }
}
