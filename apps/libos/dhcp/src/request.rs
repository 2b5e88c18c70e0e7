//! The client's own messages (RFC 2131, table 5).

use crate::code;
use crate::error::Error;
use crate::frame::{self, BROADCAST_MAC, Ends, HEADERS, Mac};
use crate::identity::Identity;
use crate::message::{
    CHADDR, CIADDR, COOKIE, ETHERNET, FLAGS, HARDWARE, MAGIC, OP, OPTIONS, REQUEST, SECS, XID,
};
use crate::name::Name;
use crate::settings::{Delivery, Settings};
use core::net::Ipv4Addr;

/// Bytes that suffice for any frame of a client: headers, and a message that every server takes
/// (RFC 2131, 2: 576 bytes with IPv4's and UDP's headers).
pub const LONGEST_FRAME: usize = 14 + 576;
/// Relays drop shorter messages (RFC 1542, 2.1).
const SHORTEST_MESSAGE: usize = 300;
/// The bit of the flags that asks for broadcasts.
const BROADCAST: [u8; 2] = [0x80, 0];
/// The client asks the server to enter the name, which is in wire format (RFC 4702, 2.1: S and E).
const FQDN_FLAGS: [u8; 3] = [0x05, 0, 0];

/// What a message says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Which server has an address for me?
    Discover = 1,
    /// I take that one; or: may I keep mine?
    Request = 3,
    /// Somebody else uses that address.
    Decline = 4,
    /// I need mine no longer.
    Release = 7,
    /// I have an address; what else is there to know?
    Inform = 8,
}

/// A message to be sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Request {
    /// What it says.
    pub kind: Kind,
    /// Where to: [`Ipv4Addr::BROADCAST`], or a server by way of the routing table.
    pub destination: Ipv4Addr,
    /// From where: the host's address, or unspecified.
    pub source: Ipv4Addr,
    pub(crate) xid: u32,
    pub(crate) secs: u16,
    pub(crate) delivery: Delivery,
    /// The address the host uses, as the message says it.
    pub(crate) current: Ipv4Addr,
    pub(crate) requested: Option<Ipv4Addr>,
    pub(crate) server: Option<Ipv4Addr>,
}

impl Request {
    /// A message to everybody that says nothing yet.
    pub(crate) const fn new(kind: Kind, xid: u32) -> Self {
        Self {
            kind,
            destination: Ipv4Addr::BROADCAST,
            source: Ipv4Addr::UNSPECIFIED,
            xid,
            secs: 0,
            delivery: Delivery::Unicast,
            current: Ipv4Addr::UNSPECIFIED,
            requested: None,
            server: None,
        }
    }

    /// The same, by a host that has this address.
    pub(crate) const fn by(self, address: Ipv4Addr) -> Self {
        Self { source: address, current: address, ..self }
    }

    /// Writes the message, which is the payload of UDP from port 68 to port 67; returns its length.
    pub(crate) fn write(
        &self,
        settings: &Settings,
        identity: &Identity,
        buffer: &mut [u8],
    ) -> Result<usize, Error> {
        let (fixed, options) =
            buffer.split_first_chunk_mut::<OPTIONS>().ok_or(Error::BufferTooShort)?;
        fixed.fill(0);
        fixed[OP] = REQUEST;
        fixed[HARDWARE].copy_from_slice(&ETHERNET);
        fixed[XID].copy_from_slice(&self.xid.to_be_bytes());
        fixed[SECS].copy_from_slice(&self.secs.to_be_bytes());
        if self.delivery == Delivery::Broadcast {
            fixed[FLAGS].copy_from_slice(&BROADCAST);
        }
        fixed[CIADDR].copy_from_slice(&self.current.octets());
        fixed[CHADDR].copy_from_slice(&identity.mac);
        fixed[COOKIE].copy_from_slice(&MAGIC);
        let mut options = Options { buffer: options, length: 0, full: false };
        self.write_options(settings, identity, &mut options);
        if options.full {
            return Err(Error::BufferTooShort);
        }
        Ok(OPTIONS + options.length)
    }

    fn write_options(&self, settings: &Settings, identity: &Identity, options: &mut Options<'_>) {
        options.put(code::MESSAGE_TYPE, &[&[self.kind as u8]]);
        if !identity.bytes().is_empty() {
            options.put(code::CLIENT, &[identity.bytes()]);
        }
        if let Some(address) = self.requested {
            options.put(code::REQUESTED_ADDRESS, &[&address.octets()]);
        }
        if let Some(server) = self.server {
            options.put(code::SERVER, &[&server.octets()]);
        }
        if !matches!(self.kind, Kind::Decline | Kind::Release) {
            options.put(code::PARAMETERS, &[&code::WANTED]);
            // With headers or without: readers of RFC 2132, 9.10, differ, and both fit so.
            let largest = settings.mtu.saturating_sub(28).max(576);
            options.put(code::LARGEST_MESSAGE, &[&largest.to_be_bytes()]);
            if let Some(name) = &settings.host_name {
                options.put_name(name);
            }
        }
        options.byte(code::END);
        while options.length < SHORTEST_MESSAGE - OPTIONS && !options.full {
            options.byte(code::PAD);
        }
    }

    /// Writes the message in a frame to the station `next_hop`; returns its length. A broadcast goes
    /// to [every station](BROADCAST_MAC), whatever is given.
    pub(crate) fn write_frame(
        &self,
        settings: &Settings,
        identity: &Identity,
        next_hop: Mac,
        buffer: &mut [u8],
    ) -> Result<usize, Error> {
        let message = buffer.get_mut(HEADERS..).ok_or(Error::BufferTooShort)?;
        let length = HEADERS + self.write(settings, identity, message)?;
        let everybody = self.destination.is_broadcast();
        let next_hop = if everybody { BROADCAST_MAC } else { next_hop };
        let (source, destination) = (self.source, self.destination);
        let ends = Ends { own: identity.mac, next_hop, source, destination };
        frame::emit(&mut buffer[..length], &ends);
        Ok(length)
    }
}

/// Options in the making.
struct Options<'a> {
    buffer: &'a mut [u8],
    length: usize,
    full: bool,
}

impl Options<'_> {
    fn byte(&mut self, byte: u8) {
        match self.buffer.get_mut(self.length) {
            Some(place) => {
                *place = byte;
                self.length += 1;
            }
            None => self.full = true,
        }
    }

    /// An option of these parts, 255 bytes at most.
    fn put(&mut self, code: u8, parts: &[&[u8]]) {
        self.byte(code);
        self.byte(parts.iter().map(|part| part.len()).sum::<usize>() as u8);
        parts.iter().flat_map(|part| part.iter()).for_each(|byte| self.byte(*byte));
    }

    /// The host's name: flags and labels if it is qualified. One of more than 250 bytes does not fit
    /// into an option, and is not sent.
    fn put_name(&mut self, name: &Name) {
        let bytes = name.as_bytes();
        if !bytes.contains(&b'.') {
            return self.put(code::HOST_NAME, &[bytes]);
        }
        let length = FQDN_FLAGS.len() + 1 + bytes.len() + 1;
        if length > 255 {
            return;
        }
        self.byte(code::FQDN);
        self.byte(length as u8);
        FQDN_FLAGS.into_iter().for_each(|byte| self.byte(byte));
        for label in name.labels() {
            self.byte(label.len() as u8);
            label.iter().for_each(|byte| self.byte(*byte));
        }
        self.byte(0);
    }
}
