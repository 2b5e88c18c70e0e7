//! How a client is known to servers.

use crate::frame::Mac;

/// The client identifier that is sent (RFC 2132, 9.14).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Identifier {
    /// An identifier of the interface and one of the host (RFC 4361), which is made of the hardware
    /// address (RFC 8415, 11.4): an image has no storage for another.
    Node {
        /// The interface's (IAID).
        interface: u32,
    },
    /// The hardware address, as most boot firmware sends it: the server then knows both as one.
    Hardware,
    /// None: the server goes by the hardware address.
    Absent,
}

/// The longest identifier.
const LONGEST: usize = 15;

/// What servers know a client by.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Identity {
    pub(crate) mac: Mac,
    length: usize,
    bytes: [u8; LONGEST],
}

impl Identity {
    pub(crate) fn new(mac: Mac, identifier: Identifier) -> Self {
        let mut identity = Self { mac, length: 0, bytes: [0; LONGEST] };
        match identifier {
            Identifier::Node { interface } => {
                identity.push(&[255]);
                identity.push(&interface.to_be_bytes());
                // DUID-LL, Ethernet.
                identity.push(&[0, 3, 0, 1]);
                identity.push(&mac);
            }
            Identifier::Hardware => {
                identity.push(&[1]);
                identity.push(&mac);
            }
            Identifier::Absent => {}
        }
        identity
    }

    fn push(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.bytes[self.length] = *byte;
            self.length += 1;
        }
    }

    /// The option's bytes; empty where none is sent.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}
