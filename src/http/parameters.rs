//! The parameters of a query, each known to its route and given once.

use std::borrow::Cow;
use std::fmt::Display;
use std::str::FromStr;

use axum::http::Uri;
use percent_encoding::percent_decode_str;

use super::problem::Problem;

/// The parameters of one request.
pub(super) struct Parameters(Vec<(&'static str, String)>);

impl Parameters {
    /// Reads those that the route has; another one, or one that comes twice, is refused.
    pub(super) fn read(uri: &Uri, known: &'static [&'static str]) -> Result<Self, Problem> {
        let mut parameters: Vec<(&'static str, String)> = Vec::new();
        let pairs = uri.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
        for pair in pairs {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let name = decoded(name).unwrap_or_default();
            let Some(&name) = known.iter().find(|known| **known == name) else {
                let name = name.chars().take(100).collect();
                return Err(Problem::NoSuchParameter { name, known });
            };
            let bad = |detail: &str| Problem::BadParameter { name, detail: detail.to_owned() };
            if parameters.iter().any(|(given, _)| *given == name) {
                return Err(bad("comes twice"));
            }
            let value = decoded(value).ok_or_else(|| bad("must be UTF-8"))?;
            parameters.push((name, value));
        }
        Ok(Self(parameters))
    }

    /// The text of a parameter, if it was given.
    pub(super) fn text(&self, name: &'static str) -> Option<&str> {
        self.0.iter().find(|(given, _)| *given == name).map(|(_, value)| value.as_str())
    }

    /// The same as what it must be.
    pub(super) fn parsed<T: FromStr<Err: Display>>(
        &self,
        name: &'static str,
        wanted: &str,
    ) -> Result<Option<T>, Problem> {
        let Some(text) = self.text(name) else { return Ok(None) };
        text.parse().map(Some).map_err(|_| {
            let shown: String = text.chars().take(100).collect();
            let detail = format!("must be {wanted}, `{shown}` is not");
            Problem::BadParameter { name, detail }
        })
    }

    /// How many items a page has at most.
    pub(super) fn limit(&self, max: usize) -> Result<usize, Problem> {
        const USUAL: usize = 100;
        let name = "limit";
        match self.parsed(name, "a number from 1")? {
            None => Ok(USUAL.min(max)),
            Some(limit) if (1..=max).contains(&limit) => Ok(limit),
            Some(limit) => {
                let detail = format!("must be 1 to {max}, `{limit}` is not");
                Err(Problem::BadParameter { name, detail })
            }
        }
    }
}

/// A `+` is a space, as forms write it.
fn decoded(text: &str) -> Option<String> {
    let text = text.replace('+', " ");
    percent_decode_str(&text).decode_utf8().ok().map(Cow::into_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: &[&str] = &["limit", "from", "type"];

    fn read(query: &str) -> Result<Parameters, Problem> {
        Parameters::read(&format!("/events?{query}").parse().expect("a URI"), KNOWN)
    }

    #[test]
    fn parameters_are_decoded() {
        let read = read("type=Zo%C3%AB+%26&from=7&").expect("parameters");
        assert_eq!(read.text("type"), Some("Zoë &"));
        assert_eq!(read.parsed::<u64>("from", "an offset").expect("a number"), Some(7));
        assert_eq!(read.limit(50).expect("a limit"), 50);
        assert!(read.text("limit").is_none());
    }

    #[test]
    fn what_is_not_understood_is_refused_with_its_name() {
        for (query, said) in [
            ("typ=x", "no parameter `typ`, it has limit, from, type"),
            ("type=x&type=y", "`type` comes twice"),
            ("type=%FF", "`type` must be UTF-8"),
        ] {
            let refused = read(query).err().expect(query).to_string();
            assert!(refused.contains(said), "{query}: {refused}");
        }
        for limit in ["0", "11", "-1", "x", ""] {
            let refused = read(&format!("limit={limit}")).expect("parameters").limit(10);
            let refused = refused.expect_err(limit).to_string();
            assert!(refused.contains("`limit` must be"), "{limit}: {refused}");
        }
    }
}
