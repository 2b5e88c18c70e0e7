//! Records, of which all that is sent consists: a header of [`HEADER`] bytes, and a payload. A page is a row of
//! whole records; so is what a byte stream carries.

use core::fmt;

/// Bytes of a record's header.
///
/// ```text
///  0        4      5            8                16
///  | length | kind | reserved 0 | tag            |   all numbers little-endian
/// ```
pub(crate) const HEADER: usize = 16;

/// What a record is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(crate) enum Kind {
    Message,
    Hello,
    Welcome,
    Refused,
    Subscribe,
    Unsubscribe,
    Subscribed,
    Declined,
    Unsubscribed,
    Beat,
}

impl Kind {
    const ALL: [Self; 10] = [
        Self::Message,
        Self::Hello,
        Self::Welcome,
        Self::Refused,
        Self::Subscribe,
        Self::Unsubscribe,
        Self::Subscribed,
        Self::Declined,
        Self::Unsubscribed,
        Self::Beat,
    ];
}

/// Why bytes are no record.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Malformed {
    /// There is no such kind, or not there.
    Kind,
    /// Reserved bytes are not zero.
    Reserved,
    /// It is longer than was agreed on, ends in the middle, or has a payload of a length that its kind has not.
    Length,
    /// What it says cannot be, or answers nothing that was asked.
    Content,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kind => "a record is of a kind that it cannot be of",
            Self::Reserved => "a record's reserved bytes are not zero",
            Self::Length => "a record has a length that it cannot have",
            Self::Content => "a record says what cannot be",
        })
    }
}

/// The header of a record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Header {
    pub(crate) kind: Kind,
    pub(crate) tag: u64,
    /// Bytes of payload.
    pub(crate) length: usize,
}

impl Header {
    /// Reads a header; the whole record may have at most `limit` bytes.
    #[inline]
    pub(crate) fn parse(bytes: &[u8; HEADER], limit: usize) -> Result<Self, Malformed> {
        let [a, b, c, d, kind, reserved @ ..] = *bytes;
        let length = u32::from_le_bytes([a, b, c, d]) as usize;
        let kind = *Kind::ALL.get(usize::from(kind)).ok_or(Malformed::Kind)?;
        let [0, 0, 0, tag @ ..] = reserved else { return Err(Malformed::Reserved) };
        if length > limit.saturating_sub(HEADER) {
            return Err(Malformed::Length);
        }
        Ok(Self { kind, tag: u64::from_le_bytes(tag), length })
    }

    /// Writes it to the first bytes of `into`, which has so many.
    #[inline]
    pub(crate) fn emit(&self, into: &mut [u8]) {
        into[..4].copy_from_slice(&(self.length as u32).to_le_bytes());
        into[4..8].copy_from_slice(&[self.kind as u8, 0, 0, 0]);
        into[8..HEADER].copy_from_slice(&self.tag.to_le_bytes());
    }
}

/// A record where it was received.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Record<'a> {
    pub(crate) kind: Kind,
    pub(crate) tag: u64,
    pub(crate) payload: &'a [u8],
}

/// The records of a row of bytes, of which the last may be incomplete.
pub(crate) struct Records<'a> {
    rest: &'a [u8],
    limit: usize,
}

impl<'a> Records<'a> {
    /// Those of `bytes`, of at most `limit` bytes each.
    pub(crate) fn new(bytes: &'a [u8], limit: usize) -> Self {
        Self { rest: bytes, limit }
    }

    /// The next that is whole.
    #[inline]
    pub(crate) fn next_whole(&mut self) -> Result<Option<Record<'a>>, Malformed> {
        let Some((header, rest)) = self.rest.split_first_chunk() else { return Ok(None) };
        let Header { kind, tag, length } = Header::parse(header, self.limit)?;
        let Some((payload, rest)) = rest.split_at_checked(length) else { return Ok(None) };
        self.rest = rest;
        Ok(Some(Record { kind, tag, payload }))
    }

    /// What has not been read.
    pub(crate) fn rest(&self) -> &'a [u8] {
        self.rest
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn emitted(kind: Kind, tag: u64, payload: &[u8]) -> std::vec::Vec<u8> {
        let mut bytes = std::vec![0; HEADER];
        Header { kind, tag, length: payload.len() }.emit(&mut bytes);
        bytes.extend(payload);
        bytes
    }

    #[test]
    fn a_header_is_these_bytes() {
        let bytes = emitted(Kind::Subscribe, 0x1122_3344_5566_7788, &[9; 8]);
        let header = [8, 0, 0, 0, 4, 0, 0, 0, 0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11];
        assert_eq!(bytes[..HEADER], header);
    }

    #[test]
    fn what_is_no_record_is_refused() {
        let good = emitted(Kind::Message, 7, b"four");
        let read =
            |bytes: &[u8], limit| Records::new(bytes, limit).next_whole().map(|it| it.is_some());
        assert_eq!(read(&good, 20), Ok(true));
        assert_eq!(read(&good, 19), Err(Malformed::Length));
        assert_eq!(read(&good[..19], 20), Ok(false));
        let with = |at: usize, byte| {
            let mut bytes = good.clone();
            bytes[at] = byte;
            read(&bytes, 1 << 16)
        };
        assert_eq!(with(4, Kind::ALL.len() as u8), Err(Malformed::Kind));
        assert_eq!([5, 6, 7].map(|at| with(at, 1)), [Err(Malformed::Reserved); 3]);
        assert_eq!(with(3, 255), Err(Malformed::Length));
    }

    proptest! {
        #[test]
        fn a_row_of_records_is_read_as_it_was_written(
            payloads in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..20),
            cut in 0usize..20,
        ) {
            let mut bytes = std::vec::Vec::new();
            for (tag, payload) in payloads.iter().enumerate() {
                bytes.extend(emitted(Kind::Message, tag as u64, payload));
            }
            let whole = bytes.len();
            bytes.truncate(whole - cut.min(whole));
            let mut records = Records::new(&bytes, 56);
            let mut read = 0;
            while let Some(record) = records.next_whole().unwrap() {
                prop_assert_eq!(record.tag, read as u64);
                prop_assert_eq!(record.payload, &payloads[read][..]);
                read += 1;
            }
            let missing: usize = payloads[read..].iter().map(|it| HEADER + it.len()).sum();
            prop_assert_eq!(missing, records.rest().len() + cut.min(whole));
        }

        #[test]
        fn no_bytes_are_read_out_of_bounds(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut records = Records::new(&bytes, 64);
            while let Ok(Some(record)) = records.next_whole() {
                prop_assert!(record.payload.len() + HEADER <= 64);
            }
        }
    }
}
