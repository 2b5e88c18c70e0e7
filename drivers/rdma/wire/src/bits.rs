//! Fields out of bytes and into them: network order, parts of a word.

/// A 24-bit number in network order.
#[inline]
pub(crate) const fn u24([a, b, c]: [u8; 3]) -> u32 {
    u32::from_be_bytes([0, a, b, c])
}

/// A word of a 24-bit number and the byte behind it, as many headers have it.
#[inline]
pub(crate) const fn u24_u8(number: u32, last: u8) -> [u8; 4] {
    (number << 8 | last as u32).to_be_bytes()
}
