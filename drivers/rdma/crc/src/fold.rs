//! The CRC by folding: data are replaced by 16 bytes that have the same, and these by four.
//!
//! Data are a polynomial over GF(2), of which the CRC is the remainder by CRC-32's, after a
//! multiplication by x^32. The first bit is the highest coefficient, and the bits of a byte come
//! lowest first: in a register of 128 bits, bit 0 is the coefficient of x^127. A block `A` that begins
//! `n` bits before another, `B`, counts A·x^n + B. Either half of `A` is multiplied by what is left of
//! its power of x, which is of degree 31 at most, and the products are added to `B`. The method is that of
//! V. Gopal and others, "Fast CRC Computation for Generic Polynomials Using PCLMULQDQ Instruction"
//! (Intel, 2009). Of much, four blocks are under way at once, since a multiplication takes cycles.

use core::arch::x86_64::{
    __m128i, _mm_clmulepi64_si128, _mm_cvtsi32_si128, _mm_cvtsi128_si64, _mm_set_epi64x,
    _mm_slli_si128, _mm_srli_si128, _mm_unpackhi_epi64, _mm_xor_si128,
};

/// A register's bytes.
pub(crate) type Block = [u8; 16];
/// The blocks that are under way at once.
type Group = [Block; 4];

/// CRC-32's polynomial without x^32: bit 31 is the coefficient of x^0.
const POLYNOMIAL: u32 = 0xedb8_8320;

/// What takes a block to the place of the one that is a group further on, and to that of the next.
const BY_GROUP: [u64; 2] = [power(8 * size_of::<Group>() + 64), power(8 * size_of::<Group>())];
const BY_BLOCK: [u64; 2] = [power(8 * size_of::<Block>() + 64), power(8 * size_of::<Block>())];
/// What takes the first half of a block to where the CRC has it, and 32 bits that are 64 before its end.
const BY_CRC: [u64; 2] = [power(64 + 32), power(64)];
/// The polynomial, and what is whole of x^64 divided by it: 33 coefficients each, from bit 0 on.
const DIVISION: [u64; 2] = [(POLYNOMIAL as u64) << 1 | 1, quotient()];

/// What is left of x^n by the polynomial, as the factor of a half.
///
/// Of two numbers of 64 bits the product has 127. As the upper ones of 128 it is multiplied by x, so
/// the factor has one x less.
const fn power(n: usize) -> u64 {
    let mut remainder: u32 = 1 << 31;
    let mut degree = 1;
    while degree < n {
        remainder = times_x(remainder);
        degree += 1;
    }
    (remainder as u64) << 32
}

const fn times_x(remainder: u32) -> u32 {
    (remainder >> 1) ^ (POLYNOMIAL * (remainder & 1))
}

/// What is whole of x^64 divided by the polynomial: bit 0 is the coefficient of x^32.
const fn quotient() -> u64 {
    // x^32 goes into it once; what is left goes on, a coefficient at a time.
    let (mut quotient, mut remainder) = (1, POLYNOMIAL);
    let mut place = 1;
    while place <= 32 {
        quotient |= ((remainder & 1) as u64) << place;
        remainder = times_x(remainder);
        place += 1;
    }
    quotient
}

/// The CRC's register after `blocks`, if it is `register` before.
#[target_feature(enable = "pclmulqdq", enable = "sse2")]
pub(crate) fn fold(register: u32, blocks: &[Block]) -> u32 {
    let before = _mm_cvtsi32_si128(register.cast_signed());
    let (groups, rest) = blocks.as_chunks();
    let (mut folded, rest) = match (groups, blocks) {
        ([first, groups @ ..], _) if !groups.is_empty() => {
            (fold_groups(before, first, groups), rest)
        }
        (_, [first, rest @ ..]) => (_mm_xor_si128(before, load(first)), rest),
        (_, []) => return register,
    };
    let factors = vector(BY_BLOCK);
    for block in rest {
        folded = _mm_xor_si128(moved(folded, factors), load(block));
    }
    finish(folded)
}

/// 16 bytes for all groups, with the register's before.
#[inline]
#[target_feature(enable = "pclmulqdq", enable = "sse2")]
fn fold_groups(before: __m128i, first: &Group, groups: &[Group]) -> __m128i {
    let mut lanes = first.each_ref().map(|block| load(block));
    lanes[0] = _mm_xor_si128(lanes[0], before);
    let factors = vector(BY_GROUP);
    for group in groups {
        for (lane, block) in lanes.iter_mut().zip(group) {
            *lane = _mm_xor_si128(moved(*lane, factors), load(block));
        }
    }
    let factors = vector(BY_BLOCK);
    let [folded, lanes @ ..] = lanes;
    lanes.into_iter().fold(folded, |folded, lane| _mm_xor_si128(moved(folded, factors), lane))
}

/// A block further on, by the factors for the way.
#[inline]
#[target_feature(enable = "pclmulqdq", enable = "sse2")]
fn moved(block: __m128i, factors: __m128i) -> __m128i {
    let first = _mm_clmulepi64_si128::<0x00>(block, factors);
    let second = _mm_clmulepi64_si128::<0x11>(block, factors);
    _mm_xor_si128(first, second)
}

/// The CRC's register after a block, if it is zero before.
#[inline]
#[target_feature(enable = "pclmulqdq", enable = "sse2")]
fn finish(block: __m128i) -> u32 {
    let factors = vector(BY_CRC);
    // Times x^32, of 96 coefficients: of the second half the block has the lower ones at its end.
    let first = _mm_clmulepi64_si128::<0x00>(block, factors);
    let second = _mm_slli_si128::<4>(_mm_srli_si128::<8>(block));
    let shorter = _mm_xor_si128(first, second);
    // Of 64 coefficients: the first 32 of these have their place in the first half's end.
    let first = _mm_clmulepi64_si128::<0x10>(shorter, factors);
    let shortest = high(_mm_xor_si128(first, shorter));
    // The remainder, after the division of G. Barrett: the quotient by the inverse, which is exact in
    // the coefficients that count.
    let division = vector(DIVISION);
    let dividend = vector([shortest & u64::from(u32::MAX), 0]);
    let quotient = low(_mm_clmulepi64_si128::<0x10>(dividend, division));
    let quotient = vector([quotient & u64::from(u32::MAX), 0]);
    let product = low(_mm_clmulepi64_si128::<0x00>(quotient, division));
    ((shortest ^ product) >> 32) as u32
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
fn low(vector: __m128i) -> u64 {
    _mm_cvtsi128_si64(vector).cast_unsigned()
}

#[inline]
#[target_feature(enable = "sse2")]
fn high(vector: __m128i) -> u64 {
    low(_mm_unpackhi_epi64(vector, vector))
}
