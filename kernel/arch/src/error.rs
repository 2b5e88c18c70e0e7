//! What can go wrong at the machine's level.

use core::fmt;

/// Why the machine, or a table that describes it, was refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Error {
    /// A page table was needed and the frame source had no frame left.
    OutOfFrames,
    /// The address is not aligned as the operation needs.
    Misaligned,
    /// The address cannot be identity mapped: it is not in the lower canonical half.
    NotCanonical,
    /// The page is already mapped for another use.
    Mapped,
    /// The page is not mapped.
    NotMapped,
    /// A firmware table is shorter than its fields.
    TableTruncated,
    /// A firmware table has the wrong signature.
    BadSignature,
    /// A firmware table's bytes do not add up to zero.
    BadChecksum,
    /// The firmware describes more devices of a kind than can be kept.
    TooMany,
    /// The processor has no local APIC.
    NoApic,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OutOfFrames => "no memory is left for page tables",
            Self::Misaligned => "the address is not page aligned",
            Self::NotCanonical => "the address is beyond what can be identity mapped",
            Self::Mapped => "the page is already mapped for another use",
            Self::NotMapped => "the page is not mapped",
            Self::TableTruncated => "a firmware table is shorter than its fields",
            Self::BadSignature => "a firmware table has the wrong signature",
            Self::BadChecksum => "a firmware table's checksum is wrong",
            Self::TooMany => "the firmware describes more devices than can be kept",
            Self::NoApic => "the processor has no local APIC",
        })
    }
}

impl core::error::Error for Error {}
