//! ARP for IPv4 over Ethernet (RFC 826).

use crate::ip::header;

/// Bytes of an ARP frame, its Ethernet header included.
pub(crate) const LENGTH: usize = 42;

/// Hardware Ethernet, protocol IPv4, with addresses of six and four bytes.
const FIXED: [u8; 6] = [0, 1, 8, 0, 6, 4];
/// What stations say that count Ethernet among the IEEE 802 networks (RFC 1042); they are heard too.
const IEEE_802: [u8; 2] = [0, 6];

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Operation {
    Request,
    Reply,
}

/// An ARP packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Arp {
    pub(crate) operation: Operation,
    pub(crate) sender_mac: [u8; 6],
    pub(crate) sender: u32,
    pub(crate) target_mac: [u8; 6],
    pub(crate) target: u32,
}

impl Arp {
    /// Reads the packet in an Ethernet frame; `None` when it is not one of ours.
    pub(crate) fn parse(frame: &[u8]) -> Option<Self> {
        let body = frame.get(14..)?.first_chunk::<28>()?;
        if body[2..6] != FIXED[2..] || body[..2] != FIXED[..2] && body[..2] != IEEE_802 {
            return None;
        }
        let operation = match [body[6], body[7]] {
            [0, 1] => Operation::Request,
            [0, 2] => Operation::Reply,
            _ => return None,
        };
        let mac = |at: usize| body[at..].first_chunk::<6>().copied();
        let sender_mac = mac(8)?;
        let sender = header::word(body, 14);
        // A group's hardware address is never believed (RFC 1812, 3.3.2). What the frame's header
        // says does not matter: virtual routers and bonded adapters have several addresses.
        let group = sender_mac[0] & 1 != 0 || sender_mac == [0; 6];
        // Nobody asks whether an address is free (RFC 5227, 2.1.1), and answers nothing.
        let nobody = sender == 0 && operation == Operation::Reply;
        if group || nobody || sender >= 0xe000_0000 || sender >> 24 == 127 {
            return None;
        }
        Some(Self {
            operation,
            sender_mac,
            sender,
            target_mac: mac(18)?,
            target: header::word(body, 24),
        })
    }

    /// Writes the packet as a frame to `to`.
    pub(crate) fn emit(&self, to: &[u8; 6], frame: &mut [u8]) {
        let Some(frame) = frame.first_chunk_mut::<LENGTH>() else { return };
        frame[..6].copy_from_slice(to);
        frame[6..12].copy_from_slice(&self.sender_mac);
        frame[12..14].copy_from_slice(&[0x08, 0x06]);
        frame[14..20].copy_from_slice(&FIXED);
        let operation = match self.operation {
            Operation::Request => [0, 1],
            Operation::Reply => [0, 2],
        };
        frame[20..22].copy_from_slice(&operation);
        frame[22..28].copy_from_slice(&self.sender_mac);
        frame[28..32].copy_from_slice(&self.sender.to_be_bytes());
        frame[32..38].copy_from_slice(&self.target_mac);
        frame[38..42].copy_from_slice(&self.target.to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_survives_the_wire() {
        let arp = Arp {
            operation: Operation::Reply,
            sender_mac: [2, 0, 0, 0, 0, 1],
            sender: 0x0a00_0001,
            target_mac: [2, 0, 0, 0, 0, 2],
            target: 0x0a00_0002,
        };
        let mut frame = [0; 60];
        arp.emit(&arp.target_mac, &mut frame);
        assert_eq!(Arp::parse(&frame), Some(arp));
        assert_eq!(Arp::parse(&frame[..41]), None);
        // RFC 826 looks at the packet alone: VRRP, bonding, proxies.
        frame[6] = 4;
        assert_eq!(Arp::parse(&frame), Some(arp));
        frame[15] = 6;
        assert_eq!(Arp::parse(&frame), Some(arp), "IEEE 802 (RFC 1042)");
    }

    #[test]
    fn what_cannot_be_a_sender_is_not_heard() {
        let good = Arp {
            operation: Operation::Request,
            sender_mac: [2, 0, 0, 0, 0, 1],
            sender: 0x0a00_0001,
            target_mac: [0; 6],
            target: 0x0a00_0002,
        };
        let parse = |arp: Arp| {
            let mut frame = [0; LENGTH];
            arp.emit(&[0xff; 6], &mut frame);
            Arp::parse(&frame)
        };
        let probe = Arp { sender: 0, ..good };
        assert_eq!(parse(probe), Some(probe), "a probe (RFC 5227, 1.1)");
        let bad = [
            Arp { sender: 0, operation: Operation::Reply, ..good },
            Arp { sender_mac: [3, 0xbf, 0, 0, 0, 1], ..good },
            Arp { sender_mac: [0xff; 6], ..good },
            Arp { sender_mac: [0; 6], ..good },
            Arp { sender: 0x7f00_0001, ..good },
            Arp { sender: 0xe000_0001, ..good },
            Arp { sender: u32::MAX, ..good },
        ];
        for bad in bad {
            assert_eq!(parse(bad), None, "{bad:?}");
        }
        for (at, byte) in [(15, 7), (16, 0x86), (18, 8), (19, 16), (21, 3)] {
            let mut frame = [0; LENGTH];
            good.emit(&[0xff; 6], &mut frame);
            frame[at] = byte;
            assert_eq!(Arp::parse(&frame), None, "byte {at}");
        }
    }
}
