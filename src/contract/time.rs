//! A moment in wall time, in milliseconds, as it stands in records and views.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;
use std::str::FromStr;
use std::time::Duration;

use chrono::{DateTime, Datelike, NaiveDate, SecondsFormat, Timelike, Utc};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::text::Text;

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
        let time = self.date_time();
        match u32::try_from(time.year()) {
            Ok(year @ 0..=9_999) => f.write_str(text(year, &time, &mut [0; TEXT.len()])),
            _ => f.write_str(&time.to_rfc3339_opts(SecondsFormat::Millis, true)),
        }
    }
}

/// What a time looks like.
const TEXT: &[u8; 24] = b"0000-00-00T00:00:00.000Z";

/// As chrono writes it, without an allocation: every command has two times.
fn text<'a>(year: u32, time: &DateTime<Utc>, text: &'a mut [u8; TEXT.len()]) -> &'a str {
    text.copy_from_slice(TEXT);
    let millis = time.timestamp_subsec_millis();
    let numbers = [
        (0..4, year),
        (5..7, time.month()),
        (8..10, time.day()),
        (11..13, time.hour()),
        (14..16, time.minute()),
        (17..19, time.second()),
        (20..23, millis),
    ];
    for (place, mut number) in numbers {
        for digit in text[place].iter_mut().rev() {
            *digit += u8::try_from(number % 10).unwrap_or_default();
            number /= 10;
        }
    }
    str::from_utf8(text).expect("digits are ASCII")
}

/// The time of a text as it is written here: every record that is read has one.
fn time_of(text: &str) -> Option<Time> {
    let text: &[u8; TEXT.len()] = text.as_bytes().try_into().ok()?;
    let fits = |(byte, like): (&u8, &u8)| match like {
        b'0' => byte.is_ascii_digit(),
        sign => byte == sign,
    };
    if !text.iter().zip(TEXT).all(fits) {
        return None;
    }
    let number = |place: Range<usize>| {
        text[place].iter().fold(0, |number, digit| 10 * number + u32::from(digit - b'0'))
    };
    let year = i32::try_from(number(0..4)).ok()?;
    let date = NaiveDate::from_ymd_opt(year, number(5..7), number(8..10))?;
    let time =
        date.and_hms_milli_opt(number(11..13), number(14..16), number(17..19), number(20..23))?;
    Some(Time(time.and_utc().timestamp_millis()))
}

impl FromStr for Time {
    type Err = InvalidTime;

    fn from_str(text: &str) -> Result<Self, InvalidTime> {
        if let Some(time) = time_of(text) {
            return Ok(time);
        }
        // Whatever else RFC 3339 allows.
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
        deserializer.deserialize_str(Text(str::parse))
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
    fn a_time_is_written_as_chrono_writes_it() {
        let (day, year) = (86_399_999, 31_556_952_000);
        let all = (-2_400_i64..10_100).map(|years| years * year + years.rem_euclid(7) * day);
        for millis in all.chain([0, -1, 1, i64::MAX, i64::MIN]) {
            let time = Time::from_millis(millis);
            let expected = time.date_time().to_rfc3339_opts(SecondsFormat::Millis, true);
            assert_eq!(time.to_string(), expected);
        }
    }

    #[test]
    fn a_text_is_read_as_chrono_reads_it() {
        let parse = |text: &str| DateTime::parse_from_rfc3339(text).map(|it| it.timestamp_millis());
        let texts = [
            "2026-11-22T10:00:00.007Z",
            "2026-11-22T10:00:00.007+02:00",
            "2026-11-22T10:00:00Z",
            "2016-12-31T23:59:60.500Z",
            "2026-11-22t10:00:00.007z",
            "2026-11-22 10:00:00.007Z",
            "0000-01-01T00:00:00.000Z",
            "2024-02-29T23:59:59.999Z",
            "2023-02-29T23:59:59.999Z",
            "2026-13-01T00:00:00.000Z",
            "2026-11-22T24:00:00.000Z",
            "2026-11-22T10:00:00.00aZ",
            "2026-11-22T10:00:00,000Z",
        ];
        for text in texts {
            let read = text.parse().map(Time::millis).ok();
            assert_eq!(read, parse(text).ok(), "{text}");
        }
    }

    #[test]
    fn a_text_that_is_no_time_is_refused_with_the_text() {
        let error = "yesterday".parse::<Time>().expect_err("no time");
        assert!(error.to_string().contains("`yesterday`"));
    }
}
