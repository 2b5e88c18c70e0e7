//! The hash of maps and sets.

use core::fmt;
use core::hash::BuildHasher;
use siphasher::sip::SipHasher13;

/// SipHash-1-3 with a key that is chosen by chance: what a peer sends as keys of a map does not meet on purpose.
#[derive(Clone, Copy)]
pub struct Keyed {
    key: [u8; 16],
}

impl Keyed {
    /// The hash with this key, which is to be from the kernel's generator.
    pub const fn new(key: [u8; 16]) -> Self {
        Self { key }
    }
}

impl BuildHasher for Keyed {
    type Hasher = SipHasher13;

    fn build_hasher(&self) -> SipHasher13 {
        SipHasher13::new_with_key(&self.key)
    }
}

impl fmt::Debug for Keyed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keyed")
    }
}
