//! Why a frame or a message was refused, and what was strange in one that was not.

use core::fmt;

/// Declares an enumeration of what is counted, with a sentence for each variant.
macro_rules! counted {
    ($(#[$about:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $sentence:literal,)* }) => {
        $(#[$about])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        pub enum $name { $($(#[$doc])* $variant,)* }

        impl $name {
            /// All there are.
            pub const ALL: [Self; [$(Self::$variant),*].len()] = [$(Self::$variant),*];

            /// What it says.
            pub const fn sentence(self) -> &'static str {
                match self { $(Self::$variant => $sentence,)* }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.sentence())
            }
        }
    };
}

counted! {
    /// Why something that was received was refused, or something could not be written.
    Error {
        /// The frame ends within its headers.
        Truncated = "the frame ends within its headers",
        /// The frame is for another station.
        OtherStation = "the frame is for another station",
        /// The frame carries no IPv4 packet.
        NotIpv4 = "the frame carries no IPv4 packet",
        /// A length of the IPv4 header does not fit the frame.
        IpLength = "a length in the IPv4 header does not fit the frame",
        /// The checksum of the IPv4 header is wrong.
        IpChecksum = "the checksum of the IPv4 header is wrong",
        /// The packet is a fragment: a client that has no address puts none together.
        Fragment = "the packet is a fragment",
        /// The packet is not UDP to port 68.
        OtherPort = "the packet is not UDP to port 68",
        /// The UDP header's length does not fit the packet.
        UdpLength = "the UDP length does not fit the packet",
        /// The UDP checksum is there and wrong.
        UdpChecksum = "the UDP checksum is wrong",
        /// The message is shorter than its fixed part.
        MessageLength = "the message is shorter than its fixed part",
        /// The message is another client's request.
        NotReply = "the message is not a reply",
        /// The message is for another hardware address, or another kind of hardware.
        OtherHardware = "the message is for another hardware address",
        /// The message is of another transaction than the one that is under way.
        OtherTransaction = "the message is of another transaction",
        /// The magic cookie is missing: BOOTP without DHCP.
        NoCookie = "the message has no magic cookie",
        /// An option ends beyond the field it is in.
        OptionBeyondEnd = "an option ends beyond its field",
        /// There is no message type: BOOTP.
        NoMessageType = "the message has no message type",
        /// The message type is none that servers send.
        MessageType = "the message type is none that servers send",
        /// An option that the protocol stands on has a length that it cannot have.
        OptionLength = "the message type, the server identifier or the lease time has a wrong length",
        /// The client identifier that the server repeats (RFC 6842) is another's.
        OtherClient = "the message has another client's identifier",
        /// The server identifier is missing.
        NoServer = "the server does not identify itself",
        /// The server identifier is no address of a host.
        ServerAddress = "the server identifier is no address of a host",
        /// The address offered is none that a host can have.
        Address = "the address is none that a host can have",
        /// No lease time was said.
        NoLeaseTime = "the server does not say for how long",
        /// The lease is shorter than [`MIN_LEASE`](crate::MIN_LEASE), or over when it is heard of.
        LeaseTooShort = "the lease is too short",
        /// A request to renew at once that nobody has authenticated (RFC 3203, 6).
        Forcerenew = "a forced renewal is not authenticated",
        /// Nothing of this kind is waited for.
        Unexpected = "no such message is waited for",
        /// The message is of a server that was not asked.
        OtherServer = "the message is of a server that was not asked",
        /// The server acknowledges another address than the one that is held.
        OtherAddress = "another address is acknowledged than was asked for",
        /// The buffer is too short for what is to be written.
        BufferTooShort = "the buffer is too short",
    }
}

impl core::error::Error for Error {}

counted! {
    /// What was strange in a message that was accepted; or what the client did about strange servers.
    Oddity {
        /// A field of options has no end mark. All of its options count.
        NoEnd = "the options have no end mark",
        /// The overload option has a value it cannot have, and counts for nothing.
        Overload = "the overload option has a wrong value",
        /// An option with one value came more than once. The first counts.
        Repeated = "an option was repeated",
        /// An option has a length that it cannot have, and counts for nothing.
        OptionIgnored = "an option has a wrong length",
        /// The subnet mask has holes, or is empty, and counts for nothing.
        Mask = "the subnet mask is none",
        /// There is no subnet mask. The address's class has one (RFC 1122, 3.2.1.3).
        NoMask = "there is no subnet mask",
        /// The address of a router or name server is none that a host can have. It is left out.
        HostAddress = "the address of a router or name server is none",
        /// The classless routes are malformed, and count for nothing.
        Routes = "the classless routes are malformed",
        /// More routers, routes or name servers than there is room for. The first ones count.
        TooMany = "there are more values than there is room for",
        /// The MTU is under 576 bytes, and counts for nothing.
        Mtu = "the MTU is too small",
        /// The domain name is none, and counts for nothing.
        Name = "the domain name is none",
        /// T1, T2 and the lease time are not in this order. The usual fractions count.
        Timers = "T1, T2 and the lease time are out of order",
        /// A message of the client's own was put off, because there were too many.
        Paced = "a message was put off",
    }
}
