//! Folding: data are replaced by 16 bytes that have the same CRC.
//!
//! Data are a polynomial over GF(2), of which the CRC is the remainder by CRC-32's. The first bit is
//! the highest coefficient, and the bits of a byte come lowest first: in a register of 128 bits, bit
//! 0 is the coefficient of x^127. A block `A` that begins `n` bits before another, `B`, counts
//! A·x^n + B. Either half of `A` is multiplied by what is left of its power of x, which is of degree
//! 31 at most, and the products are added to `B`. The method is that of V. Gopal and others, "Fast CRC
//! Computation for Generic Polynomials Using PCLMULQDQ Instruction" (Intel, 2009). Four blocks are
//! under way at once, since a multiplication takes several cycles.

use core::arch::x86_64::{
    __m128i, _mm_clmulepi64_si128, _mm_cvtsi32_si128, _mm_cvtsi128_si64, _mm_set_epi64x,
    _mm_setzero_si128, _mm_unpackhi_epi64, _mm_xor_si128,
};

/// A register's bytes.
type Block = [u8; 16];
/// The blocks that are under way at once.
type Group = [Block; 4];

/// Data in blocks: two groups at least, with less it does not pay.
#[derive(Clone, Copy)]
pub(crate) struct Blocks<'a> {
    first: &'a Group,
    groups: &'a [Group],
    last: &'a [Block],
}

impl<'a> Blocks<'a> {
    /// `bytes` in blocks, and what is left of them.
    #[inline]
    pub(crate) const fn of(bytes: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (blocks, rest) = bytes.as_chunks();
        let (groups, last) = blocks.as_chunks();
        match groups.split_first() {
            Some((first, groups)) if !groups.is_empty() => {
                Some((Self { first, groups, last }, rest))
            }
            _ => None,
        }
    }
}

/// CRC-32's polynomial without x^32: bit 31 is the coefficient of x^0.
const POLYNOMIAL: u32 = 0xedb8_8320;
/// What takes a block to the place of the one that is a group further on, and to that of the next.
const BY_GROUP: [u64; 2] = factors(size_of::<Group>());
const BY_BLOCK: [u64; 2] = factors(size_of::<Block>());

/// The factors of the first and the second half of a block that moves on by `bytes`.
///
/// Of two numbers of 64 bits the product has 127. As the upper ones of 128 it is multiplied by x, so
/// the factors have one x less.
const fn factors(bytes: usize) -> [u64; 2] {
    [(power(8 * bytes + 63) as u64) << 32, (power(8 * bytes - 1) as u64) << 32]
}

/// What is left of x^n by the polynomial: bit 31 is the coefficient of x^0.
const fn power(n: usize) -> u32 {
    let mut remainder: u32 = 1 << 31;
    let mut degree = 0;
    while degree < n {
        let carried = remainder & 1;
        remainder = (remainder >> 1) ^ (POLYNOMIAL * carried);
        degree += 1;
    }
    remainder
}

/// 16 bytes with the CRC that `blocks` have, if the CRC's register is `register` before these and zero
/// before those.
#[target_feature(enable = "pclmulqdq", enable = "sse2")]
pub(crate) fn fold(register: u32, blocks: Blocks<'_>) -> Block {
    let mut lanes = blocks.first.each_ref().map(|block| load(block));
    lanes[0] = _mm_xor_si128(lanes[0], _mm_cvtsi32_si128(register.cast_signed()));
    let factors = vector(BY_GROUP);
    for group in blocks.groups {
        for (lane, block) in lanes.iter_mut().zip(group) {
            *lane = _mm_xor_si128(moved(*lane, factors), load(block));
        }
    }
    let factors = vector(BY_BLOCK);
    let mut folded = _mm_setzero_si128();
    for lane in lanes {
        folded = _mm_xor_si128(moved(folded, factors), lane);
    }
    for block in blocks.last {
        folded = _mm_xor_si128(moved(folded, factors), load(block));
    }
    bytes(folded)
}

/// A block further on, by the factors for the way.
#[inline]
#[target_feature(enable = "pclmulqdq", enable = "sse2")]
fn moved(block: __m128i, factors: __m128i) -> __m128i {
    let first = _mm_clmulepi64_si128::<0x00>(block, factors);
    let second = _mm_clmulepi64_si128::<0x11>(block, factors);
    _mm_xor_si128(first, second)
}

#[inline]
#[target_feature(enable = "sse2")]
fn load(block: &Block) -> __m128i {
    // One instruction, after optimisation.
    let both = u128::from_le_bytes(*block);
    vector([both as u64, (both >> 64) as u64])
}

#[inline]
#[target_feature(enable = "sse2")]
fn vector([low, high]: [u64; 2]) -> __m128i {
    _mm_set_epi64x(high.cast_signed(), low.cast_signed())
}

#[inline]
#[target_feature(enable = "sse2")]
fn bytes(vector: __m128i) -> Block {
    let low = _mm_cvtsi128_si64(vector);
    let high = _mm_cvtsi128_si64(_mm_unpackhi_epi64(vector, vector));
    ((u128::from(high.cast_unsigned()) << 64) | u128::from(low.cast_unsigned())).to_le_bytes()
}
