//! What is wrong with a packet.

use core::fmt;

/// Why bytes were refused, or could not be written.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Error {
    /// The bytes end before the headers they announce.
    Truncated,
    /// Neither IPv4 nor IPv6.
    IpVersion,
    /// An IPv4 header with options, which the ICRC has no rule for.
    IpOptions,
    /// The IP header announces more bytes than there are, or fewer than its own.
    IpLength,
    /// The checksum of the IPv4 header is wrong.
    IpChecksum,
    /// A fragment: RoCEv2 packets are whole.
    Fragment,
    /// What follows the IP header is not UDP.
    NotUdp,
    /// The UDP destination port is not 4791.
    Port,
    /// The UDP header and the IP header disagree on the length.
    UdpLength,
    /// A UDP checksum was sent, and it is wrong.
    UdpChecksum,
    /// The transport header version is not 0.
    TransportVersion,
    /// An opcode of no transport that is spoken here.
    Opcode,
    /// The packet is no multiple of four bytes long.
    Alignment,
    /// More pad bytes than there is payload and padding.
    Pad,
    /// A payload or padding behind an operation that has none.
    UnexpectedPayload,
    /// A reserved acknowledge syndrome.
    Syndrome,
    /// The invariant CRC is wrong.
    Icrc,
    /// The buffer is too short for the packet.
    BufferTooShort,
    /// The packet would be longer than an IP packet can be.
    TooLong,
    /// The opcode has other extension headers than those given.
    ExtensionMismatch,
    /// One address is IPv4, the other IPv6.
    MixedFamilies,
    /// More or less payload was given than announced.
    PayloadLength,
    /// A management datagram is 256 bytes long.
    MadLength,
    /// A base version, class or class version that is not communication management.
    MadClass,
    /// Communication management has but the method Send.
    MadMethod,
    /// No connection message that is spoken here.
    MadAttribute,
    /// A field has a value that its specification reserves.
    ReservedValue,
    /// The private data does not fit in the message.
    PrivateDataTooLong,
    /// A value is wider than its field.
    FieldOverflow,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Truncated => "the packet ends within its headers",
            Self::IpVersion => "the packet is neither IPv4 nor IPv6",
            Self::IpOptions => "the IPv4 header has options",
            Self::IpLength => "the IP header's length does not fit the packet",
            Self::IpChecksum => "the IPv4 header's checksum is wrong",
            Self::Fragment => "the packet is a fragment",
            Self::NotUdp => "the packet is not UDP",
            Self::Port => "the UDP destination port is not 4791",
            Self::UdpLength => "the UDP length differs from the IP length",
            Self::UdpChecksum => "the UDP checksum is wrong",
            Self::TransportVersion => "the transport header version is not 0",
            Self::Opcode => "the opcode is unknown",
            Self::Alignment => "the packet is no multiple of four bytes long",
            Self::Pad => "there are more pad bytes than bytes",
            Self::UnexpectedPayload => "the operation has no payload, but the packet does",
            Self::Syndrome => "the acknowledge syndrome is reserved",
            Self::Icrc => "the invariant CRC is wrong",
            Self::BufferTooShort => "the buffer is too short for the packet",
            Self::TooLong => "the packet is longer than an IP packet can be",
            Self::ExtensionMismatch => "the opcode has other extension headers",
            Self::MixedFamilies => "one address is IPv4 and the other IPv6",
            Self::PayloadLength => "the payload is not as long as announced",
            Self::MadLength => "a management datagram is 256 bytes long",
            Self::MadClass => "the management datagram is not communication management",
            Self::MadMethod => "the management method is not Send",
            Self::MadAttribute => "the connection message is unknown",
            Self::ReservedValue => "a field has a reserved value",
            Self::PrivateDataTooLong => "the private data does not fit in the message",
            Self::FieldOverflow => "a value is wider than its field",
        })
    }
}

impl core::error::Error for Error {}
