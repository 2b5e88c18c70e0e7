//! Acknowledge syndromes: credits, the RNR timer, the kinds of NAK (IBA volume 1, 9.7).

use core::time::Duration;

/// What an acknowledge packet says.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Syndrome {
    /// All is well up to this packet; so many more receives are posted.
    Ack(Credits),
    /// No receive was posted: try again after that time.
    ReceiverNotReady(RnrTimer),
    /// Refused.
    Nak(Nak),
}

/// Why a responder refused a packet. The discriminant is its code on the wire.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
pub enum Nak {
    /// A packet is missing before this one; the acknowledge carries the expected number.
    SequenceError = 0,
    /// Not a request this queue pair can take: order of positions, length, alignment.
    InvalidRequest = 1,
    /// Key, bounds or permission do not allow it.
    RemoteAccessError = 2,
    /// The responder could not carry it out.
    RemoteOperationalError = 3,
    /// Reliable datagram only.
    InvalidRdRequest = 4,
}

impl Syndrome {
    /// From the syndrome byte; `None` where it is reserved.
    #[inline]
    pub const fn from_bits(bits: u8) -> Option<Self> {
        let code = bits & 0x1f;
        Some(match bits >> 5 {
            0 => Self::Ack(Credits(code)),
            1 => Self::ReceiverNotReady(RnrTimer(code)),
            3 => Self::Nak(match code {
                0 => Nak::SequenceError,
                1 => Nak::InvalidRequest,
                2 => Nak::RemoteAccessError,
                3 => Nak::RemoteOperationalError,
                4 => Nak::InvalidRdRequest,
                _ => return None,
            }),
            _ => return None,
        })
    }

    /// The syndrome byte.
    #[inline]
    pub const fn bits(self) -> u8 {
        match self {
            Self::Ack(Credits(code)) => code,
            Self::ReceiverNotReady(RnrTimer(code)) => 1 << 5 | code,
            Self::Nak(nak) => 3 << 5 | nak as u8,
        }
    }
}

/// End-to-end flow control credits, as their five-bit code.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Credits(u8);

impl Credits {
    /// No flow control: what Linux always sends.
    pub const UNLIMITED: Self = Self(31);

    /// Of that code's lower five bits.
    pub const fn from_code(code: u8) -> Self {
        Self(code & 0x1f)
    }

    /// The five-bit code.
    pub const fn code(self) -> u8 {
        self.0
    }

    /// How many receives are posted at least; `None` without flow control.
    pub const fn count(self) -> Option<u32> {
        if self.0 == 31 { None } else { Some(scale(self.0)) }
    }

    /// The most that can be said of `posted` receives without promising more.
    pub fn for_count(posted: u32) -> Self {
        Self((0..31).rev().find(|&code| scale(code) <= posted).unwrap_or(0))
    }
}

/// 0, 1, 2, 3, 4, 6, 8, 12, 16, ... 32768: powers of two and what lies half-way.
const fn scale(code: u8) -> u32 {
    if code < 2 { code as u32 } else { (2 + (code as u32 & 1)) << (code / 2 - 1) }
}

/// How long a requester waits after a receiver was not ready, as its five-bit code.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct RnrTimer(u8);

impl RnrTimer {
    /// Of that code's lower five bits.
    pub const fn from_code(code: u8) -> Self {
        Self(code & 0x1f)
    }

    /// The five-bit code.
    pub const fn code(self) -> u8 {
        self.0
    }

    /// The time, 10 us to 655.36 ms.
    pub const fn duration(self) -> Duration {
        // The scale is that of the credits, in units of 10 us, but zero is the longest.
        let units = if self.0 == 0 { 65536 } else { scale(self.0) };
        Duration::from_micros(units as u64 * 10)
    }

    /// The shortest that is no shorter than `wait`, or the longest there is.
    pub fn at_least(wait: Duration) -> Self {
        let fits = |&code: &u8| Self(code).duration() >= wait;
        Self((1..32).find(fits).unwrap_or(0))
    }
}

/// The local acknowledge time-out: 4.096 us times two to the code (IBA volume 1, 9.7).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct AckTimeout(u8);

impl AckTimeout {
    /// Of that code's lower five bits. Zero is for ever.
    pub const fn from_code(code: u8) -> Self {
        Self(code & 0x1f)
    }

    /// The five-bit code.
    pub const fn code(self) -> u8 {
        self.0
    }

    /// The time; `None` when it never passes. A requester may take up to four times that.
    pub const fn duration(self) -> Option<Duration> {
        if self.0 == 0 { None } else { Some(Duration::from_nanos(4096 << self.0)) }
    }
}
