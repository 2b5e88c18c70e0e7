//! Decimal numbers, as the protocol writes them.

/// The number that `text` is: digits, with a minus sign perhaps, and written the one shortest way.
pub(crate) fn parse(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    match digits {
        [] => return None,
        [b'0'] => return (!negative).then_some(0),
        [b'0', ..] => return None,
        _ => {}
    }
    let mut number = 0_i64;
    for digit in digits {
        let digit = i64::from(digit.wrapping_sub(b'0'));
        if digit > 9 {
            return None;
        }
        number = number.checked_mul(10)?;
        // Downwards for those below zero, of which there is one more.
        number = if negative { number.checked_sub(digit)? } else { number.checked_add(digit)? };
    }
    Some(number)
}

/// A number as text.
pub(crate) struct Decimal {
    text: [u8; 20],
    begin: usize,
}

impl Decimal {
    pub(crate) fn new(number: i64) -> Self {
        let mut decimal = Self { text: [0; 20], begin: 20 };
        let mut rest = number.unsigned_abs();
        loop {
            decimal.put(b'0' + (rest % 10) as u8);
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        if number < 0 {
            decimal.put(b'-');
        }
        decimal
    }

    fn put(&mut self, character: u8) {
        self.begin -= 1;
        self.text[self.begin] = character;
    }

    pub(crate) fn text(&self) -> &[u8] {
        &self.text[self.begin..]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_and_written_alike() {
        for number in [0, 1, -1, 9, 10, -10, 1234567890, i64::MAX, i64::MIN, i64::MIN + 1] {
            assert_eq!(parse(Decimal::new(number).text()), Some(number));
        }
        assert_eq!(Decimal::new(i64::MIN).text(), b"-9223372036854775808");
    }

    #[test]
    fn what_is_no_number_is_none() {
        let none: [&[u8]; 12] = [
            b"",
            b"-",
            b"-0",
            b"+1",
            b"01",
            b" 1",
            b"1 ",
            b"1.0",
            b"x",
            b"9223372036854775808",
            b"-9223372036854775809",
            b"99999999999999999999",
        ];
        for text in none {
            assert_eq!(parse(text), None, "{text:?}");
        }
    }
}
