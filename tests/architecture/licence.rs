//! SPDX licence expressions, as far as `Cargo.toml` files have them: AND, OR, WITH, parentheses
//! and the old `/` for OR.

use std::collections::BTreeSet;

/// Whether the licences allow what the expression asks: all sides of AND, one side of OR.
pub(crate) fn is_allowed(expression: &str, allowed: &BTreeSet<String>) -> bool {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let mut words = spaced.split_whitespace().peekable();
    let result = any(&mut words, allowed);
    result && words.next().is_none()
}

type Words<'a, 'b> = &'b mut std::iter::Peekable<std::str::SplitWhitespace<'a>>;

fn any(words: Words<'_, '_>, allowed: &BTreeSet<String>) -> bool {
    let mut result = all(words, allowed);
    while words.next_if_eq(&"OR").is_some() {
        result |= all(words, allowed);
    }
    result
}

fn all(words: Words<'_, '_>, allowed: &BTreeSet<String>) -> bool {
    let mut result = one(words, allowed);
    while words.next_if_eq(&"AND").is_some() {
        result &= one(words, allowed);
    }
    result
}

fn one(words: Words<'_, '_>, allowed: &BTreeSet<String>) -> bool {
    match words.next() {
        Some("(") => {
            let result = any(words, allowed);
            result && words.next() == Some(")")
        }
        Some(licence) if words.next_if_eq(&"WITH").is_some() => {
            let exception = words.next().unwrap_or_default();
            allowed.contains(&format!("{licence} WITH {exception}"))
        }
        Some(licence) => allowed.contains(licence),
        None => false,
    }
}

mod tests {
    use super::*;

    #[test]
    fn an_expression_is_allowed_when_all_that_it_asks_is() {
        let allowed = ["MIT", "BSD-3-Clause", "A WITH E"].map(str::to_owned).into();
        for fine in [
            "MIT",
            "MIT OR GPL-3.0",
            "GPL-3.0 OR MIT",
            "GPL-3.0/MIT",
            "(MIT OR GPL-3.0) AND BSD-3-Clause",
            "A WITH E",
            "MIT AND BSD-3-Clause",
        ] {
            assert!(is_allowed(fine, &allowed), "{fine}");
        }
        for forbidden in ["", "GPL-3.0", "MIT AND GPL-3.0", "A", "GPL-3.0 OR (MIT AND X)", "MIT )"]
        {
            assert!(!is_allowed(forbidden, &allowed), "{forbidden}");
        }
    }
}
