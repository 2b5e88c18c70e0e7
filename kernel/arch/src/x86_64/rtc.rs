//! The date, from the battery-backed clock.

use super::port::Port;

const SECONDS: u8 = 0x00;
const MINUTES: u8 = 0x02;
const HOURS: u8 = 0x04;
const DAY: u8 = 0x07;
const MONTH: u8 = 0x08;
const YEAR: u8 = 0x09;
const STATUS_A: u8 = 0x0a;
const STATUS_B: u8 = 0x0b;
/// Where PCs and QEMU keep the century, in BCD.
const CENTURY: u8 = 0x32;

const UPDATE_IN_PROGRESS: u8 = 1 << 7;
const BINARY: u8 = 1 << 2;
const HOURS_24: u8 = 1 << 1;
const PM: u8 = 1 << 7;

/// What the clock's registers hold, undecoded.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Registers {
    seconds: u8,
    minutes: u8,
    hours: u8,
    day: u8,
    month: u8,
    year: u8,
    century: u8,
    status_b: u8,
}

/// Seconds since 1970-01-01 00:00:00 UTC, taking the clock to hold UTC; `None` when there is
/// no clock or it holds no date.
///
/// # Safety
/// Ring 0; nobody else uses ports 0x70 and 0x71 meanwhile.
pub unsafe fn read() -> Option<u64> {
    // SAFETY: ring 0, and nobody else uses the two ports, says the caller.
    let mut previous = unsafe { registers()? };
    // Two equal readings: none was torn by an update between its registers.
    for _ in 0..10 {
        // SAFETY: ring 0, and nobody else uses the two ports, says the caller.
        let next = unsafe { registers()? };
        if next == previous {
            return decode(next);
        }
        previous = next;
    }
    None
}

/// All registers, read while no update is in progress.
///
/// # Safety
/// As for [`read`].
unsafe fn registers() -> Option<Registers> {
    let read = |register: u8| -> u8 {
        // SAFETY: in ring 0 an access of these ports is allowed, and nobody else selects a register
        // in between, says the caller; bit 7 clear leaves NMIs on.
        unsafe {
            Port::new(0x70).write(register);
            Port::new(0x71).read()
        }
    };
    // An update takes at most 2 ms, a port access at least 100 ns.
    (0..100_000).find(|_| read(STATUS_A) & UPDATE_IN_PROGRESS == 0)?;
    Some(Registers {
        seconds: read(SECONDS),
        minutes: read(MINUTES),
        hours: read(HOURS),
        day: read(DAY),
        month: read(MONTH),
        year: read(YEAR),
        century: read(CENTURY),
        status_b: read(STATUS_B),
    })
}

fn decode(registers: Registers) -> Option<u64> {
    let number = |value: u8| -> u64 {
        let binary = if registers.status_b & BINARY != 0 {
            value
        } else {
            (value >> 4).wrapping_mul(10).wrapping_add(value & 15)
        };
        u64::from(binary)
    };
    let mut hours = number(registers.hours & !PM);
    if registers.status_b & HOURS_24 == 0 {
        hours = hours % 12 + if registers.hours & PM != 0 { 12 } else { 0 };
    }
    let century = match number(registers.century) {
        century @ 19..=21 => century,
        _ => 20,
    };
    let year = century * 100 + number(registers.year);
    let (month, day) = (number(registers.month), number(registers.day));
    let (minutes, seconds) = (number(registers.minutes), number(registers.seconds));
    let valid = (1970..2200).contains(&year)
        && (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && hours < 24
        && minutes < 60
        && seconds < 61;
    valid.then(|| ((days_since_1970(year, month, day) * 24 + hours) * 60 + minutes) * 60 + seconds)
}

/// Days of the Gregorian calendar from 1970-01-01 to the given date.
fn days_since_1970(year: u64, month: u64, day: u64) -> u64 {
    /// Days of a common year before each month.
    const BEFORE: [u64; 12] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];
    let leap_years_before = |year: u64| (year - 1) / 4 - (year - 1) / 100 + (year - 1) / 400;
    let leap = year.is_multiple_of(4) && !year.is_multiple_of(100) || year.is_multiple_of(400);
    let leap_day = u64::from(leap && month > 2);
    (year - 1970) * 365 + leap_years_before(year) - leap_years_before(1970)
        + BEFORE[month as usize - 1]
        + leap_day
        + day
        - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    const BCD_24: Registers = Registers {
        seconds: 0x56,
        minutes: 0x34,
        hours: 0x12,
        day: 0x29,
        month: 0x02,
        year: 0x24,
        century: 0x20,
        status_b: HOURS_24,
    };

    #[test]
    fn both_encodings_of_a_leap_day() {
        let binary = Registers {
            seconds: 56,
            minutes: 34,
            hours: 12,
            day: 29,
            month: 2,
            year: 24,
            century: 20,
            status_b: HOURS_24 | BINARY,
        };
        // date -u -d '2024-02-29 12:34:56' +%s
        assert_eq!(decode(BCD_24), Some(1_709_210_096));
        assert_eq!(decode(binary), Some(1_709_210_096));
    }

    #[test]
    fn twelve_hour_clocks_begin_at_twelve() {
        let at = |hours| decode(Registers { hours, status_b: 0, ..BCD_24 }).unwrap() / 3600 % 24;
        assert_eq!([at(0x12), at(0x01), at(0x12 | PM), at(0x11 | PM)], [0, 1, 12, 23]);
    }

    #[test]
    fn no_date_is_none() {
        assert_eq!(decode(Registers { month: 0, ..BCD_24 }), None);
        assert_eq!(decode(Registers { day: 0x32, ..BCD_24 }), None);
        assert_eq!(decode(Registers { hours: 0xff, ..BCD_24 }), None);
        assert_eq!(decode(Registers { century: 0xff, ..BCD_24 }), decode(BCD_24));
    }

    #[test]
    fn days_count_up_by_one_over_centuries() {
        let mut expected = 0;
        for year in 1970..2200 {
            for month in 1..=12 {
                let length = match month {
                    2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
                    2 => 28,
                    4 | 6 | 9 | 11 => 30,
                    _ => 31,
                };
                for day in 1..=length {
                    assert_eq!(days_since_1970(year, month, day), expected);
                    expected += 1;
                }
            }
        }
    }
}
