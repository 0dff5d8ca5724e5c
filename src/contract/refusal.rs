//! What a domain says when it refuses a command.

use std::borrow::Cow;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A refusal as clients see it: a stable code to branch on, and a sentence for people.
///
/// ```
/// use retell::Refusal;
///
/// let refusal = Refusal::new("insufficient_funds", "the balance is 500, 900 were asked for");
/// assert_eq!(refusal.code, "insufficient_funds");
/// ```
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub struct Refusal {
    /// Stable, in snake case; becomes the `code` of the problem document.
    pub code: Cow<'static, str>,
    /// One sentence that says what was wrong with the command.
    pub detail: String,
}

impl Refusal {
    /// A refusal with this code and this sentence.
    pub fn new(code: &'static str, detail: impl Into<String>) -> Self {
        Self { code: Cow::Borrowed(code), detail: detail.into() }
    }
}
