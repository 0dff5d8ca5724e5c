//! A command on its way to an aggregate: its JSON, and its name.
//!
//! The JSON stays: after a lost term the command is decided again, and `handle` takes it by value.

use std::any::Any;

use bytes::Bytes;
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};

use crate::events::{Fingerprint, Tagged};

use super::expected::Expected;

/// A command of any type.
pub(super) type AnyCommand = Box<dyn Any + Send>;

/// A command that was checked to be one of its aggregate's.
///
/// ```
/// # use std::sync::Arc;
/// use retell::write::{AnyKind, Kind};
/// # use retell::{Name, adapters::SystemClock, ports::Ids};
/// # use retell::doc::Light;
///
/// # let ids = Ids::new(Arc::new(SystemClock));
/// let kind = Kind::<Light>::new(Name::new("light")?, (), ids);
/// let order = kind.parse(r#"{"type":"SwitchOff"}"#.into())?;
/// assert_eq!(order.name(), "SwitchOff");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Order {
    /// The command's type.
    pub(super) name: String,
    /// `{"type":"DepositMoney","amount":500}` as received.
    pub(super) json: Bytes,
    /// Read from the JSON; taken by the first decision. Or another thing to do, which stays.
    pub(super) command: Option<AnyCommand>,
    /// The version that the aggregate must have, if its sender says one.
    pub(super) expected: Option<Expected>,
}

/// A JSON text that is no command of its aggregate, and where it goes wrong.
///
/// ```
/// # use std::sync::Arc;
/// use retell::write::{AnyKind, BadCommand, Kind};
/// # use retell::{Name, adapters::SystemClock, ports::Ids};
/// # use retell::doc::Light;
///
/// # let ids = Ids::new(Arc::new(SystemClock));
/// let kind = Kind::<Light>::new(Name::new("light")?, (), ids);
/// let error = kind.parse(r#"{"type":"Dim"}"#.into()).err().expect("a light has no such command");
/// assert!(matches!(error, BadCommand::UnknownCommand { .. }));
/// assert_eq!(error.to_string(), "unknown command `Dim`; light has SwitchOn, SwitchOff");
/// # Ok::<(), retell::InvalidName>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum BadCommand {
    /// It is no JSON.
    #[error("line {line}, column {column}: {detail}")]
    NotJson {
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
        /// What was expected.
        detail: String,
    },
    /// It is JSON, but no object.
    #[error(
        "line {line}, column {column}: expected an object such as {{\"type\":\"{example}\"}}, \
         found {found}"
    )]
    NotAnObject {
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
        /// What is there instead: `a list`.
        found: &'static str,
        /// One of the aggregate's commands.
        example: String,
    },
    /// It has no member `type`, or that is no string.
    #[error("the command needs a member \"type\", such as {{\"type\":\"{example}\"}}")]
    NoType {
        /// One of the aggregate's commands.
        example: String,
    },
    /// The aggregate has no such command.
    #[error("unknown command `{name}`; {aggregate} has {}", known.join(", "))]
    UnknownCommand {
        /// What was asked for.
        name: String,
        /// The aggregate's type.
        aggregate: &'static str,
        /// The aggregate's commands.
        known: Vec<String>,
    },
    /// A field is missing or of the wrong type.
    #[error("{command}{path}: {detail} (line {line}, column {column})", path = member(path))]
    BadField {
        /// The command's type.
        command: String,
        /// The field, with the fields around it: `owner.name`.
        path: String,
        /// What was expected and what was found.
        detail: String,
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
    },
}

impl Order {
    /// The command's type.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(&self.json)
    }

    /// Reads a command from the wire.
    pub(super) fn parse<C: DeserializeOwned + Send + 'static>(
        aggregate: &'static str,
        known: &[String],
        json: Bytes,
    ) -> Result<Self, BadCommand> {
        let (name, command) = {
            let text = std::str::from_utf8(&json).map_err(|error| not_utf8(&json, &error))?;
            expect_object(text, known)?;
            let name = read_type(text, known)?;
            let command = read_command::<C>(aggregate, known, &name, text)?;
            (name, command)
        };
        Ok(Self { name, json, command: Some(Box::new(command)), expected: None })
    }

    /// Something else to do than to decide a command; [`Self::other`] finds it.
    pub(super) fn of<T: Send + 'static>(name: String, json: Bytes, other: T) -> Self {
        Self { name, json, command: Some(Box::new(other)), expected: None }
    }

    /// What to do, if it is one of these.
    pub(super) fn other<T: 'static>(&self) -> Option<&T> {
        self.command.as_ref()?.downcast_ref()
    }

    /// The command to decide on; read again when it was taken before.
    pub(super) fn take<C: DeserializeOwned + Send + 'static>(&mut self) -> C {
        let taken = self.command.take().and_then(|command| command.downcast::<C>().ok());
        taken.map_or_else(|| self.read_again(), |command| *command)
    }

    fn read_again<C: DeserializeOwned>(&self) -> C {
        let text = std::str::from_utf8(&self.json).expect("it was checked when it was parsed");
        C::deserialize(&Tagged::within(&self.name, text)).expect("the same text was read before")
    }
}

/// Asked first, because serde takes a list for a struct, too.
fn expect_object(text: &str, known: &[String]) -> Result<(), BadCommand> {
    let at = text.find(|c: char| !c.is_ascii_whitespace()).unwrap_or(text.len());
    let found = match text.as_bytes().get(at) {
        Some(b'{') => return Ok(()),
        Some(b'[') => "a list",
        Some(b'"') => "a string",
        Some(b't' | b'f') => "a boolean",
        Some(b'n') => "null",
        _ => "a number",
    };
    serde_json::from_str::<IgnoredAny>(text).map_err(|error| not_json(&error))?;
    let (line, column) = place_after(&text[..at]);
    Err(BadCommand::NotAnObject { line, column, found, example: example(known) })
}

fn read_type(text: &str, known: &[String]) -> Result<String, BadCommand> {
    #[derive(Deserialize)]
    struct Head {
        #[serde(rename = "type")]
        name: Option<serde_json::Value>,
    }
    let no_type = || BadCommand::NoType { example: example(known) };
    match serde_json::from_str::<Head>(text) {
        Ok(Head { name: Some(serde_json::Value::String(name)) }) => Ok(name),
        Ok(_) => Err(no_type()),
        Err(error) => Err(not_json(&error)),
    }
}

fn read_command<C: DeserializeOwned>(
    aggregate: &'static str,
    known: &[String],
    name: &str,
    text: &str,
) -> Result<C, BadCommand> {
    let tagged = Tagged::within(name, text);
    if let Ok(command) = C::deserialize(&tagged) {
        return Ok(command);
    }
    if tagged.tag_is_unknown() {
        let known = known.to_vec();
        return Err(BadCommand::UnknownCommand { name: name.to_owned(), aggregate, known });
    }
    // Only now pay for knowing the path.
    match serde_path_to_error::deserialize::<_, C>(&tagged) {
        Ok(command) => Ok(command),
        Err(error) => Err(bad_field(name, &error)),
    }
}

fn bad_field(name: &str, error: &serde_path_to_error::Error<serde_json::Error>) -> BadCommand {
    let path = error.path().to_string();
    let path = path.strip_prefix(name).unwrap_or(&path).trim_start_matches('.');
    BadCommand::BadField {
        command: name.to_owned(),
        path: if path == "." || path == "?" { String::new() } else { path.to_owned() },
        detail: without_place(error.inner()),
        line: error.inner().line(),
        column: error.inner().column(),
    }
}

fn not_utf8(json: &[u8], error: &std::str::Utf8Error) -> BadCommand {
    let (line, column) = place_after(&json[..error.valid_up_to()]);
    BadCommand::NotJson { line, column, detail: "the body is not UTF-8".to_owned() }
}

fn not_json(error: &serde_json::Error) -> BadCommand {
    let (line, column) = (error.line(), error.column());
    BadCommand::NotJson { line, column, detail: without_place(error) }
}

fn example(known: &[String]) -> String {
    known.first().cloned().unwrap_or_default()
}

/// Line and column, from 1 and in bytes as serde_json counts them, of what follows this.
fn place_after(before: impl AsRef<[u8]>) -> (usize, usize) {
    let before = before.as_ref();
    let line_start = before.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
    let line = before.iter().filter(|&&byte| byte == b'\n').count() + 1;
    (line, before.len() - line_start + 1)
}

/// A field's path as it follows the command's name.
fn member(path: &str) -> String {
    if path.is_empty() { String::new() } else { format!(".{path}") }
}

/// serde_json's message without the place, which is told apart.
fn without_place(error: &serde_json::Error) -> String {
    let message = error.to_string();
    match message.rfind(" at line ") {
        Some(at) => message[..at].to_owned(),
        None => message,
    }
}

#[cfg(test)]
mod tests {
    use serde::Serialize;

    use crate::events::to_wire;

    use super::*;

    #[derive(Debug, Deserialize, PartialEq, Serialize)]
    enum Switch {
        On { by: String, watts: u32 },
        Off,
    }

    fn parse(text: &str) -> Result<Order, BadCommand> {
        let known = ["On".to_owned(), "Off".to_owned()];
        Order::parse::<Switch>("light", &known, Bytes::copy_from_slice(text.as_bytes()))
    }

    fn message(text: &str) -> String {
        parse(text).err().expect("bad").to_string()
    }

    #[test]
    fn a_command_can_be_taken_twice() {
        let mut order = parse(r#"{"type":"On","by":"ann","watts":5}"#).expect("command");
        assert_eq!(order.name(), "On");
        let on = Switch::On { by: "ann".into(), watts: 5 };
        assert_eq!(order.take::<Switch>(), on);
        assert_eq!(order.take::<Switch>(), on);
    }

    #[test]
    fn an_error_says_where_and_what_was_expected() {
        assert_eq!(message("{"), "line 1, column 1: EOF while parsing an object");
        assert!(message(r#"{"by":"x"}"#).contains(r#"{"type":"On"}"#));
        assert!(message(r#"{"type":7}"#).contains("needs a member"));
        let unknown = message(r#"{"type":"Blink"}"#);
        assert_eq!(unknown, "unknown command `Blink`; light has On, Off");
        let missing = message(r#"{"type":"On","by":"x"}"#);
        assert_eq!(missing, "On: missing field `watts` (line 1, column 22)");
        let wrong = message("{\"type\":\"On\",\"by\":\"x\",\n \"watts\":\"much\"}");
        assert!(
            wrong.starts_with("On.watts: invalid type: string \"much\", expected u32"),
            "{wrong}"
        );
        assert!(wrong.ends_with("(line 2, column 15)"), "{wrong}");
    }

    #[test]
    fn what_is_no_object_is_no_command_whatever_is_in_it() {
        for (text, said) in [
            (
                r#"["Off"]"#,
                "line 1, column 1: expected an object such as {\"type\":\"On\"}, found a list",
            ),
            (" \n [{\"type\":\"Off\"}]", "line 2, column 2: expected an object"),
            ("\"Off\"", "found a string"),
            ("-1.5e3", "found a number"),
            ("true", "found a boolean"),
            ("null", "found null"),
        ] {
            assert!(message(text).contains(said), "{text}: {}", message(text));
        }
        for (text, said) in [
            ("", "line 1, column 0: EOF"),
            ("[1", "line 1, column 2: EOF"),
            ("nul", "line 1, column 3: "),
            ("Off", "line 1, column 1: expected value"),
        ] {
            let error = parse(text).err().expect("bad");
            assert!(matches!(error, BadCommand::NotJson { .. }), "{text}: {error:?}");
            assert!(error.to_string().starts_with(said), "{text}: {error}");
        }
    }

    #[test]
    fn a_typed_command_goes_over_the_wire() {
        let on = Switch::On { by: "ann".into(), watts: 5 };
        for command in [on, Switch::Off] {
            let wire = to_wire(&command).expect("wire");
            let text = std::str::from_utf8(&wire).expect("utf-8");
            assert_eq!(parse(text).expect(text).take::<Switch>(), command);
        }
    }
}
