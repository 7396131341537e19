//! Points in time as the clocks of a zone show them.

use chrono::{DateTime, Offset as _, TimeZone as _};
use model::locale::Tz;
use values::time::infinite_timestamp;

/// What a clock shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LocalTime {
    /// Microseconds since 1970-01-01T00:00:00 of that clock.
    pub(super) micros: i64,
    /// Seconds by which it is ahead of UTC.
    offset: i32,
}

impl LocalTime {
    /// Finds what the clocks of a zone show at a point in time. `None`: there are none so far off.
    pub(super) fn at(zone: Tz, micros: i64) -> Option<Self> {
        let moment = DateTime::from_timestamp_micros(micros).filter(|_| infinite_timestamp(micros).is_none())?;
        let offset = zone.offset_from_utc_datetime(&moment.naive_utc()).fix().local_minus_utc();
        Some(Self { micros: micros.checked_add(i64::from(offset) * 1_000_000)?, offset })
    }

    /// Writes how far the clock is from UTC: `+01:00`.
    pub(super) fn write_offset(&self, out: &mut Vec<u8>) {
        use std::io::Write as _;
        let (sign, seconds) = (if self.offset < 0 { '-' } else { '+' }, self.offset.unsigned_abs());
        // Writing into memory cannot fail.
        let _ = write!(out, "{sign}{:02}:{:02}", seconds / 3600, seconds / 60 % 60);
        // Before there were zones, each town had its own noon.
        if seconds % 60 > 0 {
            let _ = write!(out, ":{:02}", seconds % 60);
        }
    }
}

#[cfg(test)]
mod tests {
    use model::locale::Tz;
    use values::time::write_timestamp;

    use super::LocalTime;

    #[test]
    fn clocks_go_with_summer_winter_and_history() {
        let shown = |zone, micros| {
            let time = LocalTime::at(zone, micros).expect("a time");
            let mut out = Vec::new();
            write_timestamp(&mut out, time.micros, b' ');
            time.write_offset(&mut out);
            String::from_utf8(out).expect("UTF-8")
        };
        let berlin = Tz::Europe__Berlin;
        assert_eq!(shown(berlin, 1_711_846_800_000_000 - 1), "2024-03-31 01:59:59.999999+01:00");
        assert_eq!(shown(berlin, 1_711_846_800_000_000), "2024-03-31 03:00:00+02:00");
        assert_eq!(shown(Tz::America__St_Johns, 0), "1969-12-31 20:30:00-03:30");
        assert_eq!(shown(berlin, -2_500_000_000_000_000), "1890-10-11 20:26:48+00:53:28");
        assert_eq!(shown(Tz::UTC, 0), "1970-01-01 00:00:00+00:00");
        assert_eq!(LocalTime::at(berlin, i64::MAX), None);
        assert_eq!(LocalTime::at(berlin, i64::MAX - 1), None);
    }
}
