//! An event as a message: CloudEvents 1.0, Kafka binding, binary content mode.
//!
//! The names of the headers, and what stands in them, are a contract with other teams.

use std::fmt;
use std::str::FromStr;

use bytes::Bytes;

use crate::contract::{Offset, Position, Version};
use crate::events::{Commit, StoredEvent};
use crate::log::LogId;
use crate::ports::Message;

use super::EventForm;

const ID: &str = "ce_id";
const SOURCE: &str = "ce_source";
const SEQUENCE: &str = "ce_sequence";
const POSITION: &str = "ce_position";
const LOG_ID: &str = "ce_logid";

/// The place of an event among those of its partition: its record, and its number there.
///
/// As text it has as many digits always, so that texts compare as the places do.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct Place {
    pub(super) offset: Offset,
    pub(super) index: usize,
}

/// A text that is no place.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct NoPlace;

/// What a message that we have sent says of itself.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Published {
    pub(super) id: String,
    pub(super) log: LogId,
    pub(super) place: Place,
}

/// The messages of a commit's events, from the one with this number on.
pub(super) fn messages<'a>(
    form: &'a EventForm,
    commit: &'a Commit<'_>,
    position: Position,
    log: LogId,
    from: usize,
) -> impl Iterator<Item = Message> + 'a {
    let numbered = commit.events.iter().enumerate().skip(from);
    numbered.map(move |(index, event)| message(form, commit, event, position, log, index))
}

fn message(
    form: &EventForm,
    commit: &Commit<'_>,
    event: &StoredEvent<'_>,
    position: Position,
    log: LogId,
    index: usize,
) -> Message {
    let EventForm { source, type_prefix, dataschema_url } = form;
    let (kind, schema) = (&event.event_type, event.schema);
    let aggregate_type = &commit.aggregate.aggregate_type;
    let subject = format!("{aggregate_type}/{}", commit.aggregate.id);
    let version = Version(commit.first_version.0.saturating_add(index as u64));
    let always = [
        ("ce_specversion", "1.0".to_owned()),
        (ID, event.id.to_string()),
        (SOURCE, source.clone()),
        ("ce_type", format!("{type_prefix}{kind}")),
        ("ce_subject", subject.clone()),
        ("ce_time", commit.time.to_string()),
        ("ce_dataschema", format!("{dataschema_url}/{aggregate_type}/{kind}/{schema}")),
        ("content-type", "application/json".to_owned()),
        (SEQUENCE, Place { offset: position.offset, index }.to_string()),
        (POSITION, position.to_string()),
        (LOG_ID, log.to_string()),
        ("ce_aggregateversion", version.0.to_string()),
        ("ce_commandid", commit.command_id.clone().into_owned()),
    ];
    let at_times = [
        ("ce_correlationid", &commit.correlation_id),
        ("ce_causationid", &commit.causation_id),
        ("ce_traceparent", &commit.traceparent),
    ];
    let at_times = at_times
        .into_iter()
        .filter_map(|(name, value)| Some((name, value.as_ref()?.clone().into_owned())));
    Message {
        key: Some(Bytes::from(subject)),
        headers: always
            .into_iter()
            .chain(at_times)
            .map(|(name, value)| (name.to_owned(), Bytes::from(value)))
            .collect(),
        value: Bytes::copy_from_slice(event.data.get().as_bytes()),
    }
}

impl Published {
    /// Reads a message of an outbox; none when it is of somebody else, or of another source.
    pub(super) fn read(message: &Message, source: &str) -> Option<Self> {
        if message.header(SOURCE) != Some(source) {
            return None;
        }
        let place: Place = message.header(SEQUENCE)?.parse().ok()?;
        let position: Position = message.header(POSITION)?.parse().ok()?;
        let (id, log) = (message.header(ID)?.to_owned(), message.header(LOG_ID)?.parse().ok()?);
        (position.offset == place.offset).then_some(Self { id, log, place })
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:020}.{:08}", self.offset.0, self.index)
    }
}

impl FromStr for Place {
    type Err = NoPlace;

    fn from_str(text: &str) -> Result<Self, NoPlace> {
        let (offset, index) = text.split_once('.').ok_or(NoPlace)?;
        let offset = Offset(offset.parse().map_err(|_| NoPlace)?);
        let place = Self { offset, index: index.parse().map_err(|_| NoPlace)? };
        // A sign, or too few digits, would not compare as the place does.
        if place.to_string() == text { Ok(place) } else { Err(NoPlace) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::Partition;

    const POSITION: Position = Position { partition: Partition(5), offset: Offset(1234) };
    const RECORD: &str = r#"{"v":1,"aggregate":{"type":"account","id":"Zoë 1"},"first_version":4,
        "command":"Move","command_id":"k-1","time":"2026-11-22T10:00:00.000Z","traceparent":"00-x",
        "events":[{"id":"01990000-0000-7000-8000-000000000001","type":"Moved","schema":"2",
        "data":{"to": "Ä"}},{"id":"01990000-0000-7000-8000-000000000002","type":"Closed",
        "schema":"1","data":{}}]}"#;

    fn form() -> EventForm {
        EventForm {
            source: "urn:retell:events".to_owned(),
            type_prefix: "com.example.".to_owned(),
            dataschema_url: "http://node/schemas".to_owned(),
        }
    }

    #[test]
    fn an_event_is_a_cloud_event_in_binary_mode() {
        let commit = Commit::decode(RECORD.as_bytes()).expect("a commit");
        let log = LogId::of_first_claim(b"{}");
        let sent: Vec<_> = messages(&form(), &commit, POSITION, log, 0).collect();
        assert_eq!(sent.len(), 2);
        assert_eq!(sent[0].key.as_deref(), Some("account/Zoë 1".as_bytes()));
        assert_eq!(&sent[0].value[..], r#"{"to": "Ä"}"#.as_bytes());
        let headers = [
            ("ce_specversion", "1.0"),
            ("ce_id", "01990000-0000-7000-8000-000000000001"),
            ("ce_source", "urn:retell:events"),
            ("ce_type", "com.example.Moved"),
            ("ce_subject", "account/Zoë 1"),
            ("ce_time", "2026-11-22T10:00:00.000Z"),
            ("ce_dataschema", "http://node/schemas/account/Moved/2"),
            ("content-type", "application/json"),
            ("ce_sequence", "00000000000000001234.00000000"),
            ("ce_position", "5@1234"),
            ("ce_logid", "44136fa355b3678a1146ad16f7e8649e"),
            ("ce_aggregateversion", "4"),
            ("ce_commandid", "k-1"),
            ("ce_traceparent", "00-x"),
        ];
        let found: Vec<_> = sent[0]
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), std::str::from_utf8(value).expect("text")))
            .collect();
        assert_eq!(found, headers);
        assert_eq!(sent[1].header("ce_aggregateversion"), Some("5"));
        assert_eq!(sent[1].header("ce_sequence"), Some("00000000000000001234.00000001"));
    }

    #[test]
    fn what_was_sent_is_read_again_and_nothing_else_is() {
        let commit = Commit::decode(RECORD.as_bytes()).expect("a commit");
        let log = LogId::of_first_claim(b"{}");
        let sent = messages(&form(), &commit, POSITION, log, 1).next().expect("one");
        let read = Published::read(&sent, "urn:retell:events").expect("ours");
        assert_eq!(read.place, Place { offset: Offset(1234), index: 1 });
        assert_eq!((read.log, read.id.as_str()), (log, "01990000-0000-7000-8000-000000000002"));
        assert_eq!(Published::read(&sent, "urn:retell:other"), None);
        for (name, value) in [("ce_sequence", "1234.1"), ("ce_position", "5"), ("ce_logid", "x")] {
            let mut forged = sent.clone();
            let header = forged.headers.iter_mut().find(|(header, _)| header == name);
            header.expect("it has one").1 = Bytes::from_static(value.as_bytes());
            assert_eq!(Published::read(&forged, "urn:retell:events"), None, "{name}");
        }
        assert_eq!(Published::read(&Message::default(), "urn:retell:events"), None);
    }
}
