//! Where in the recorded month a run starts.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, NaiveDateTime, Utc};

use super::recording::{self, MINUTES};

/// A minute of the recorded month: the one that forms when the simulator starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StartAt(usize);

/// A text that names no minute of the month.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the start is a minute of the recorded month: a number from 0 to {last}, or a time from 2022-01-01T00:00 to 2022-01-31T23:59",
    last = MINUTES - 1
)]
pub struct StartAtError;

impl StartAt {
    /// The minute, counted from the month's beginning.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0
    }
}

impl Default for StartAt {
    /// 22 January 2022, 01:00: three weeks of history lie before it, and within the first two hours the 50/200-minute
    /// averages cross up, down, up, down and up again, so that whoever watches sees decisions change.
    fn default() -> Self {
        Self(21 * 24 * 60 + 60)
    }
}

impl fmt::Display for StartAt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl FromStr for StartAt {
    type Err = StartAtError;

    fn from_str(text: &str) -> Result<Self, StartAtError> {
        let index = match text.parse() {
            Ok(index) => index,
            Err(_) => {
                let time = DateTime::parse_from_rfc3339(text)
                    .map(|time| time.with_timezone(&Utc))
                    .or_else(|_| NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M").map(|time| time.and_utc()))
                    .map_err(|_| StartAtError)?;
                let minutes = (time - recording::begin()).num_seconds().div_euclid(60);
                usize::try_from(minutes).map_err(|_| StartAtError)?
            }
        };
        if index < MINUTES { Ok(Self(index)) } else { Err(StartAtError) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_numbers_and_times_within_the_month() {
        assert_eq!("17".parse(), Ok(StartAt(17)));
        assert_eq!("2022-01-01T00:05".parse(), Ok(StartAt(5)));
        assert_eq!("2022-01-22T01:00:00Z".parse(), Ok(StartAt::default()));
        assert_eq!("2022-01-22T02:00:00+01:00".parse(), Ok(StartAt::default()));
        for wrong in ["44640", "-1", "2022-02-01T00:00", "2021-12-31T23:59", "yesterday", ""] {
            assert_eq!(wrong.parse::<StartAt>(), Err(StartAtError), "{wrong}");
        }
    }
}
