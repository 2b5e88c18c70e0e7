//! Writing into a slice.

/// A slice that is written from its start. What does not fit is dropped and remembered.
pub(crate) struct Cursor<'a> {
    buffer: &'a mut [u8],
    length: usize,
    overflowed: bool,
}

impl<'a> Cursor<'a> {
    /// Writes into `buffer`.
    pub(crate) fn new(buffer: &'a mut [u8]) -> Self {
        Self { buffer, length: 0, overflowed: false }
    }

    /// Appends `bytes`, or nothing of them.
    pub(crate) fn put(&mut self, bytes: &[u8]) {
        let end = self.length + bytes.len();
        match self.buffer.get_mut(self.length..end) {
            Some(place) if !self.overflowed => {
                place.copy_from_slice(bytes);
                self.length = end;
            }
            _ => self.overflowed = true,
        }
    }

    /// Appends `value` in decimal.
    pub(crate) fn put_number(&mut self, mut value: u64) {
        let mut digits = [0; 20];
        let mut start = digits.len();
        loop {
            start -= 1;
            digits[start] = b'0' + (value % 10) as u8;
            value /= 10;
            if value == 0 {
                break;
            }
        }
        self.put(&digits[start..]);
    }

    /// Appends `value` in hexadecimal.
    pub(crate) fn put_hexadecimal(&mut self, value: u64) {
        let digits = (64 - value.leading_zeros()).div_ceil(4).max(1);
        for digit in (0..digits).rev() {
            self.put(&[b"0123456789abcdef"[(value >> (4 * digit)) as usize % 16]]);
        }
    }

    /// How many bytes have been written.
    pub(crate) fn len(&self) -> usize {
        self.length
    }

    /// Whether something did not fit.
    pub(crate) fn overflowed(&self) -> bool {
        self.overflowed
    }
}

#[cfg(test)]
mod tests {
    use super::Cursor;

    #[test]
    fn writes_numbers_and_remembers_what_did_not_fit() {
        let mut buffer = [0; 24];
        let mut cursor = Cursor::new(&mut buffer);
        cursor.put_number(0);
        cursor.put(b" ");
        cursor.put_number(u64::MAX);
        assert!(!cursor.overflowed());
        let mut numbers = [0; 32];
        let mut hexadecimal = Cursor::new(&mut numbers);
        for number in [0, 0xf, 0x10, 0xabc, u64::MAX] {
            hexadecimal.put_hexadecimal(number);
            hexadecimal.put(b" ");
        }
        let length = hexadecimal.len();
        assert_eq!(&numbers[..length], b"0 f 10 abc ffffffffffffffff ");
        cursor.put(b"abc");
        assert!(cursor.overflowed());
        cursor.put(b"a");
        let length = cursor.len();
        assert_eq!(&buffer[..length], b"0 18446744073709551615");
    }
}
