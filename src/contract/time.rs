//! A moment in wall time, in milliseconds, as it stands in records and views.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Milliseconds since the Unix epoch, written as `2026-11-22T10:00:00.000Z`.
///
/// Finer time is not kept: Kafka's own timestamps are milliseconds, and one precision everywhere
/// means that a time read back equals the time written.
///
/// ```
/// use std::time::Duration;
///
/// use retell::Time;
///
/// let time: Time = "2026-11-22T10:00:00.000Z".parse()?;
/// assert_eq!(time.after(Duration::from_secs(60)).to_string(), "2026-11-22T10:01:00.000Z");
/// assert_eq!(time.after(Duration::from_secs(60)).millis_since(time), 60_000);
/// # Ok::<(), retell::InvalidTime>(())
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Time(i64);

/// A text that is no time of the form `2026-11-22T10:00:00.000Z`.
///
/// ```
/// let error = "yesterday".parse::<retell::Time>().expect_err("no time");
/// assert!(error.to_string().starts_with("`yesterday` is no RFC 3339 time"));
/// ```
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("`{0}` is no RFC 3339 time such as 2026-11-22T10:00:00.000Z")]
pub struct InvalidTime(String);

impl Time {
    /// The moment `millis` milliseconds after the Unix epoch.
    #[must_use]
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the Unix epoch.
    #[must_use]
    pub const fn millis(self) -> i64 {
        self.0
    }

    /// Milliseconds since `earlier`; 0 when `earlier` is not earlier.
    #[must_use]
    pub const fn millis_since(self, earlier: Self) -> u64 {
        if self.0 > earlier.0 { self.0.abs_diff(earlier.0) } else { 0 }
    }

    /// This much later.
    #[must_use]
    pub fn after(self, duration: Duration) -> Self {
        let millis = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        Self(self.0.saturating_add(millis))
    }

    fn date_time(self) -> DateTime<Utc> {
        DateTime::from_timestamp_millis(self.0).unwrap_or_default()
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.date_time().to_rfc3339_opts(SecondsFormat::Millis, true))
    }
}

impl FromStr for Time {
    type Err = InvalidTime;

    fn from_str(text: &str) -> Result<Self, InvalidTime> {
        DateTime::parse_from_rfc3339(text)
            .map(|time| Self(time.timestamp_millis()))
            .map_err(|_| InvalidTime(text.to_owned()))
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

impl JsonSchema for Time {
    fn schema_name() -> Cow<'static, str> {
        "Time".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": "date-time" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_reads_back_as_it_was_written() {
        let time = Time::from_millis(1_795_341_600_007);
        assert_eq!(time.to_string(), "2026-11-22T10:00:00.007Z");
        assert_eq!(time.to_string().parse(), Ok(time));
    }

    #[test]
    fn a_text_that_is_no_time_is_refused_with_the_text() {
        let error = "yesterday".parse::<Time>().expect_err("no time");
        assert!(error.to_string().contains("`yesterday`"));
    }
}
