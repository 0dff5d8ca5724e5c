//! What a broken rule says: every place, the rule, and how to mend it.

use std::fmt;

/// A place that breaks a rule.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Violation {
    /// Relative to the repository.
    pub(crate) file: String,
    /// From 1.
    pub(crate) line: usize,
    /// What is wrong there.
    pub(crate) what: String,
}

impl Violation {
    pub(crate) fn new(file: &str, line: usize, what: impl Into<String>) -> Self {
        Self { file: file.to_owned(), line, what: what.into() }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.what)
    }
}

/// Fails with every place that breaks the rule.
pub(crate) fn hold(rule: &str, mend: &str, violations: &[Violation]) {
    let places: String = violations.iter().map(|place| format!("\n  {place}")).collect();
    assert!(violations.is_empty(), "{rule}. Not so:{places}\nTo mend it: {mend}.\n");
}

mod tests {
    use super::*;

    #[test]
    fn a_broken_rule_says_where_what_and_how_to_mend_it() {
        let broken = [Violation::new("src/a.rs", 7, "is odd")];
        let panic = std::panic::catch_unwind(|| hold("All is even", "halve it", &broken));
        let message = panic.expect_err("it is broken").downcast::<String>().expect("a text");
        assert_eq!(*message, "All is even. Not so:\n  src/a.rs:7: is odd\nTo mend it: halve it.\n");
        hold("All is even", "halve it", &[]);
    }
}
