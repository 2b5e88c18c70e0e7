//! What the two sides of a connection say first.

use crate::record::Malformed;

/// The tag of a greeting: that it is one.
pub(crate) const MAGIC: u64 = u64::from_le_bytes(*b"rfxnetio");
/// Bytes of a greeting.
pub(crate) const LENGTH: usize = 16;
/// Its version of the protocol.
pub(crate) const VERSION: u16 = 1;
/// The smallest page that a side may have.
const LEAST_PAGE: u32 = 256;

/// What a connection is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Service {
    Messages = 0,
    Publication = 1,
}

/// The payload of a HELLO, and of the WELCOME that answers it.
///
/// ```text
///  0         2         3          4      8           12         16
///  | version | service | reserved | page | beat (ms) | reserved |
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Greeting {
    pub(crate) version: u16,
    /// What is wanted, or what there is; the number of one that is unknown here.
    pub(crate) service: Result<Service, u8>,
    /// Bytes of the longest page that the side receives.
    pub(crate) page: u32,
    /// Milliseconds between its signs of life, if it gives any.
    pub(crate) beat: u32,
}

impl Greeting {
    pub(crate) fn parse(tag: u64, payload: &[u8]) -> Result<Self, Malformed> {
        let bytes: &[u8; LENGTH] = payload.try_into().map_err(|_| Malformed::Length)?;
        if tag != MAGIC {
            return Err(Malformed::Content);
        }
        let word = |at: usize| {
            u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
        };
        let version = u16::from_le_bytes([bytes[0], bytes[1]]);
        let service = match bytes[2] {
            0 => Ok(Service::Messages),
            1 => Ok(Service::Publication),
            other => Err(other),
        };
        let greeting = Self { version, service, page: word(4), beat: word(8) };
        // What another version means by the rest is not known.
        if version == VERSION && (bytes[3] != 0 || word(12) != 0) {
            return Err(Malformed::Reserved);
        }
        if version == VERSION && greeting.page < LEAST_PAGE {
            return Err(Malformed::Content);
        }
        Ok(greeting)
    }

    pub(crate) fn emit(&self) -> [u8; LENGTH] {
        let mut bytes = [0; LENGTH];
        bytes[..2].copy_from_slice(&self.version.to_le_bytes());
        bytes[2] = self.service.map_or_else(|other| other, |service| service as u8);
        bytes[4..8].copy_from_slice(&self.page.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.beat.to_le_bytes());
        bytes
    }
}

/// The tag of a REFUSED: why.
pub(crate) mod reason {
    pub(crate) const VERSION: u64 = 1;
    pub(crate) const SERVICE: u64 = 2;
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: Greeting =
        Greeting { version: VERSION, service: Ok(Service::Publication), page: 4096, beat: 2000 };

    #[test]
    fn a_greeting_is_these_bytes() {
        let bytes = [1, 0, 1, 0, 0, 16, 0, 0, 0xd0, 7, 0, 0, 0, 0, 0, 0];
        assert_eq!(GOOD.emit(), bytes);
        assert_eq!(Greeting::parse(MAGIC, &bytes), Ok(GOOD));
    }

    #[test]
    fn what_is_no_greeting_is_refused() {
        let read = |at: usize, byte: u8| {
            let mut bytes = GOOD.emit();
            bytes[at] = byte;
            Greeting::parse(MAGIC, &bytes)
        };
        assert_eq!(read(3, 1), Err(Malformed::Reserved));
        assert_eq!(read(15, 1), Err(Malformed::Reserved));
        assert_eq!(read(5, 0), Err(Malformed::Content), "a page of no bytes");
        assert_eq!(Greeting::parse(MAGIC + 1, &GOOD.emit()), Err(Malformed::Content));
        assert_eq!(Greeting::parse(MAGIC, &GOOD.emit()[1..]), Err(Malformed::Length));
        // Another version may have what it likes there.
        let mut later = GOOD.emit();
        (later[0], later[3], later[5]) = (2, 1, 0);
        assert_eq!(Greeting::parse(MAGIC, &later).map(|it| it.version), Ok(2));
        assert_eq!(read(2, 9).map(|it| it.service), Ok(Err(9)));
    }
}
