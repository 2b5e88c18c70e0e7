//! The Date field (RFC 9110, section 5.6.7), formatted once a second.

use time::OffsetDateTime;

/// `Sun, 06 Nov 1994 08:49:37 GMT`.
pub(crate) const LENGTH: usize = 29;

const DAYS: &[u8; 21] = b"MonTueWedThuFriSatSun";
const MONTHS: &[u8; 36] = b"JanFebMarAprMayJunJulAugSepOctNovDec";

/// The date as responses state it.
pub(crate) struct Date {
    text: [u8; LENGTH],
    /// Changes with the text, so that a rendered response can tell whether its date is stale.
    stamp: u32,
    known: bool,
}

impl Date {
    /// The given second since 1970, or no date at all: a server without a clock states none
    /// (RFC 9110, section 6.6.1).
    pub(crate) fn new(unix_seconds: Option<u64>) -> Self {
        let mut date = Self { text: *b"Thu, 01 Jan 1970 00:00:00 GMT", stamp: 0, known: false };
        if let Some(seconds) = unix_seconds {
            date.known = true;
            date.set(seconds);
        }
        date
    }

    /// Moves to another second. Out of range (after the year 9999) it stays.
    pub(crate) fn set(&mut self, unix_seconds: u64) {
        let moment = i64::try_from(unix_seconds)
            .ok()
            .and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok());
        if let Some(moment) = moment {
            format(moment, &mut self.text);
            self.stamp = self.stamp.wrapping_add(1);
        }
    }

    /// The text, if the time is known.
    pub(crate) fn text(&self) -> Option<&[u8; LENGTH]> {
        self.known.then_some(&self.text)
    }

    pub(crate) fn stamp(&self) -> u32 {
        self.stamp
    }
}

fn format(moment: OffsetDateTime, text: &mut [u8; LENGTH]) {
    let day = usize::from(moment.weekday().number_days_from_monday());
    let month = usize::from(u8::from(moment.month()) - 1);
    let year = moment.year().unsigned_abs();
    text[0..3].copy_from_slice(&DAYS[day * 3..][..3]);
    text[5..7].copy_from_slice(&two_digits(moment.day()));
    text[8..11].copy_from_slice(&MONTHS[month * 3..][..3]);
    text[12..14].copy_from_slice(&two_digits((year / 100 % 100) as u8));
    text[14..16].copy_from_slice(&two_digits((year % 100) as u8));
    text[17..19].copy_from_slice(&two_digits(moment.hour()));
    text[20..22].copy_from_slice(&two_digits(moment.minute()));
    text[23..25].copy_from_slice(&two_digits(moment.second()));
}

fn two_digits(value: u8) -> [u8; 2] {
    [b'0' + value / 10, b'0' + value % 10]
}

#[cfg(test)]
mod tests {
    use super::Date;

    fn text(unix_seconds: u64) -> [u8; super::LENGTH] {
        *Date::new(Some(unix_seconds)).text().expect("the time is known")
    }

    #[test]
    fn matches_the_example_of_the_specification() {
        assert_eq!(&text(784_111_777), b"Sun, 06 Nov 1994 08:49:37 GMT");
    }

    #[test]
    fn knows_leap_days_and_the_ends_of_its_range() {
        assert_eq!(&text(0), b"Thu, 01 Jan 1970 00:00:00 GMT");
        assert_eq!(&text(1_709_164_800), b"Thu, 29 Feb 2024 00:00:00 GMT");
        assert_eq!(&text(253_402_300_799), b"Fri, 31 Dec 9999 23:59:59 GMT");
        assert_eq!(&text(253_402_300_800), b"Thu, 01 Jan 1970 00:00:00 GMT");
    }

    #[test]
    fn a_change_changes_the_stamp_and_no_clock_means_no_date() {
        let mut date = Date::new(Some(5));
        let before = date.stamp();
        date.set(6);
        assert_ne!(date.stamp(), before);
        assert!(Date::new(None).text().is_none());
    }
}
