//! Limits with units: time, memory, processors.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::value_error::ValueError;

/// A wall-clock limit, written `"90s"`, `"10m"`, `"1h30m"`; at least a millisecond.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Timeout(Duration);

impl Timeout {
    /// The limit as a duration.
    #[must_use]
    pub fn duration(self) -> Duration {
        self.0
    }
}

impl FromStr for Timeout {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let refuse = |problem| ValueError::Duration { text: text.to_owned(), problem };
        let mut rest = text;
        let mut total: u64 = 0;
        let mut previous = u64::MAX;
        while !rest.is_empty() {
            let (number, after) = leading_number(rest).map_err(refuse)?;
            let unit_length = after.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(after.len());
            let (unit, after) = after.split_at(unit_length);
            let Some((_, milliseconds)) = TIME_UNITS.iter().find(|(name, _)| *name == unit) else {
                return Err(refuse(if unit.is_empty() { "the unit is missing" } else { "the unit is unknown" }));
            };
            if *milliseconds >= previous {
                return Err(refuse("the units must go from large to small, each once"));
            }
            previous = *milliseconds;
            total = number
                .checked_mul(*milliseconds)
                .and_then(|part| total.checked_add(part))
                .filter(|total| *total <= LONGEST)
                .ok_or_else(|| refuse("it is longer than 365 days"))?;
            rest = after;
        }
        match (text.is_empty(), total) {
            (true, _) => Err(refuse("it is empty")),
            (false, 0) => Err(refuse("a limit of zero lets nothing run")),
            (false, _) => Ok(Self(Duration::from_millis(total))),
        }
    }
}

impl fmt::Display for Timeout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX);
        for (unit, milliseconds) in TIME_UNITS {
            if rest >= *milliseconds {
                write!(f, "{}{unit}", rest / milliseconds)?;
                rest %= milliseconds;
            }
        }
        Ok(())
    }
}

/// An amount of memory in bytes, written `"512MiB"`, `"4GiB"` or `"2GB"`; at least one byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct ByteSize(u64);

impl ByteSize {
    /// The amount in bytes.
    #[must_use]
    pub fn bytes(self) -> u64 {
        self.0
    }
}

impl FromStr for ByteSize {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let refuse = |problem| ValueError::Size { text: text.to_owned(), problem };
        if text.is_empty() {
            return Err(refuse("it is empty"));
        }
        let (number, unit) = leading_number(text).map_err(refuse)?;
        let unit = unit.trim_start();
        let Some((_, bytes)) = SIZE_UNITS.iter().find(|(name, _)| *name == unit) else {
            return Err(refuse(if unit.is_empty() { "the unit is missing" } else { "the unit is unknown" }));
        };
        match number.checked_mul(*bytes) {
            None => Err(refuse("it is more than 16 EiB")),
            Some(0) => Err(refuse("a limit of zero lets nothing run")),
            Some(bytes) => Ok(Self(bytes)),
        }
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (unit, bytes) = SIZE_UNITS.iter().find(|(_, bytes)| self.0.is_multiple_of(*bytes)).unwrap_or(&("B", 1));
        write!(f, "{}{unit}", self.0 / bytes)
    }
}

/// Processors' worth of time per wall-clock time, to a thousandth; written as a number: `2.0`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "f64", try_from = "f64")]
pub struct Cpus(u32);

impl Cpus {
    /// Thousandths of a processor.
    #[must_use]
    pub fn milli(self) -> u32 {
        self.0
    }
}

impl TryFrom<f64> for Cpus {
    type Error = ValueError;

    fn try_from(number: f64) -> Result<Self, ValueError> {
        let refuse = |problem| ValueError::Cpus { text: number.to_string(), problem };
        if !number.is_finite() {
            return Err(refuse("it is not finite"));
        }
        let milli = (number * 1000.0).round();
        if milli < 1.0 {
            return Err(refuse("it is too small"));
        }
        if milli > 4_096_000.0 {
            return Err(refuse("it is too large"));
        }
        // The range was checked above, so the cast neither wraps nor saturates.
        Ok(Self(milli as u32))
    }
}

impl FromStr for Cpus {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let number = text
            .parse::<f64>()
            .map_err(|_| ValueError::Cpus { text: text.to_owned(), problem: "it is not a number" })?;
        Self::try_from(number)
    }
}

impl From<Cpus> for f64 {
    fn from(cpus: Cpus) -> Self {
        Self::from(cpus.0) / 1000.0
    }
}

impl fmt::Display for Cpus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", f64::from(*self))
    }
}

macro_rules! as_string {
    ($($name:ident),+) => { $(
        impl From<$name> for String {
            fn from(value: $name) -> Self { value.to_string() }
        }

        impl TryFrom<String> for $name {
            type Error = ValueError;

            fn try_from(text: String) -> Result<Self, ValueError> { text.parse() }
        }
    )+ };
}

as_string!(Timeout, ByteSize);

fn leading_number(text: &str) -> Result<(u64, &str), &'static str> {
    let length = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at(length);
    match digits.parse() {
        _ if digits.is_empty() => Err("it does not start with a whole number"),
        _ if rest.starts_with('.') => Err("a fraction is not possible"),
        Ok(number) => Ok((number, rest)),
        Err(_) => Err("the number is too large"),
    }
}

/// From large to small, in milliseconds.
const TIME_UNITS: &[(&str, u64)] = &[("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];

const LONGEST: u64 = 365 * 86_400_000;

/// IEC 80000-13 binary prefixes and SI decimal ones; the binary ones first, from large to small, so that the first
/// one that divides an amount prints it.
const SIZE_UNITS: &[(&str, u64)] = &[
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1000),
    ("B", 1),
];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn durations() {
        for (text, milliseconds, normal) in [
            ("90s", 90_000, "1m30s"),
            ("10m", 600_000, "10m"),
            ("1h30m", 5_400_000, "1h30m"),
            ("250ms", 250, "250ms"),
            ("365d", LONGEST, "365d"),
        ] {
            let timeout: Timeout = text.parse().unwrap();
            assert_eq!(timeout.duration(), Duration::from_millis(milliseconds), "{text}");
            assert_eq!(timeout.to_string(), normal);
            assert_eq!(normal.parse(), Ok(timeout));
        }
        for text in
            ["", "10", "m", "1.5h", "-1s", "10 m", "1m1h", "1m1m", "0s", "366d", "99999999999999999999s", "5min", "٣s"]
        {
            assert!(text.parse::<Timeout>().is_err(), "{text}");
        }
    }

    #[test]
    fn sizes() {
        for (text, bytes, normal) in [
            ("4GiB", 4 << 30, "4GiB"),
            ("512 MiB", 512 << 20, "512MiB"),
            ("2GB", 2_000_000_000, "1953125KiB"),
            ("1500B", 1500, "1500B"),
            ("3kB", 3000, "3kB"),
        ] {
            let size: ByteSize = text.parse().unwrap();
            assert_eq!(size.bytes(), bytes, "{text}");
            assert_eq!(size.to_string(), normal);
            assert_eq!(normal.parse(), Ok(size));
        }
        for text in ["", "4", "GiB", "0B", "1.5GiB", "4gib", "4G", "-1B", "99999999999TiB", "18446744073709551616B"] {
            assert!(text.parse::<ByteSize>().is_err(), "{text}");
        }
    }

    #[test]
    fn processors() {
        assert_eq!(Cpus::try_from(2.0).map(Cpus::milli), Ok(2000));
        assert_eq!(Cpus::try_from(0.5).map(|cpus| cpus.to_string()), Ok("0.5".to_owned()));
        for number in [0.0, -1.0, 0.0001, 5000.0, f64::NAN, f64::INFINITY] {
            assert!(Cpus::try_from(number).is_err(), "{number}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn what_is_printed_is_read(milliseconds in 1..=LONGEST, bytes in 1..=u64::MAX, milli in 1..=4_096_000_u32) {
            let timeout = Timeout(Duration::from_millis(milliseconds));
            prop_assert_eq!(timeout.to_string().parse(), Ok(timeout));
            let size = ByteSize(bytes);
            prop_assert_eq!(size.to_string().parse(), Ok(size));
            let cpus = Cpus(milli);
            prop_assert_eq!(cpus.to_string().parse(), Ok(cpus));
        }
    }
}
