//! Ports of the host that lead into a guest on user networking.

use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, UdpSocket};
use std::ops::Range;
use std::str::FromStr;
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use crate::protocol::Protocol;

/// One forwarded port, written `tcp:HOSTPORT:GUESTPORT`; it listens on the host's loopback.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Forward {
    /// Transport protocol.
    pub protocol: Protocol,
    /// Port on 127.0.0.1.
    pub host_port: u16,
    /// Port in the guest.
    pub guest_port: u16,
}

/// The text is not `tcp:HOSTPORT:GUESTPORT`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a forward: write tcp:HOSTPORT:GUESTPORT, as in tcp:8080:80 or udp:8007:7")]
pub struct ForwardError(String);

impl Forward {
    /// Forwards a TCP port.
    pub fn tcp(host_port: u16, guest_port: u16) -> Forward {
        Forward { protocol: Protocol::Tcp, host_port, guest_port }
    }

    /// Forwards a UDP port.
    pub fn udp(host_port: u16, guest_port: u16) -> Forward {
        Forward { protocol: Protocol::Udp, host_port, guest_port }
    }

    /// Forwards a free port of the host that this process has not handed out before.
    pub fn free(protocol: Protocol, guest_port: u16) -> Forward {
        Forward { protocol, host_port: free_port(protocol), guest_port }
    }

    /// Where a client on the host connects to.
    pub fn host_address(&self) -> SocketAddrV4 {
        SocketAddrV4::new(Ipv4Addr::LOCALHOST, self.host_port)
    }

    /// Whether the host's port can be opened now.
    pub fn probe(&self) -> io::Result<()> {
        probe(self.protocol, self.host_port)
    }

    /// The same forward from another port of the host that is free now, and that none of `others` is to have.
    pub fn alternative(&self, others: &[Forward]) -> Forward {
        let wanted = |port| {
            let is_it =
                |other: &Forward| (other.protocol, other.host_port) == (self.protocol, port);
            others.iter().any(is_it)
        };
        let next = (self.host_port.saturating_add(1)..=u16::MAX)
            .find(|&port| port >= 1024 && !wanted(port) && probe(self.protocol, port).is_ok());
        Forward { host_port: next.unwrap_or_else(|| free_port(self.protocol)), ..*self }
    }
}

impl fmt::Display for Forward {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.protocol, self.host_port, self.guest_port)
    }
}

impl FromStr for Forward {
    type Err = ForwardError;

    fn from_str(text: &str) -> Result<Self, ForwardError> {
        let parse = || {
            let mut parts = text.split(':');
            let forward = Forward {
                protocol: parts.next()?.parse().ok()?,
                host_port: port(parts.next()?)?,
                guest_port: port(parts.next()?)?,
            };
            parts.next().is_none().then_some(forward)
        };
        parse().ok_or_else(|| ForwardError(text.to_owned()))
    }
}

impl TryFrom<String> for Forward {
    type Error = ForwardError;

    fn try_from(text: String) -> Result<Self, ForwardError> {
        text.parse()
    }
}

impl From<Forward> for String {
    fn from(forward: Forward) -> String {
        forward.to_string()
    }
}

/// A port number as people write it: digits only, not zero.
fn port(text: &str) -> Option<u16> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|&port| digits && port != 0)
}

fn probe(protocol: Protocol, port: u16) -> io::Result<()> {
    let address = SocketAddrV4::new(Ipv4Addr::LOCALHOST, port);
    match protocol {
        Protocol::Tcp => TcpListener::bind(address).map(drop),
        Protocol::Udp => UdpSocket::bind(address).map(drop),
    }
}

/// A free port below the range that clients' own ends are taken from, so that no connection made
/// between now and QEMU's start can sit on it. This process hands no port out twice; that no other
/// one takes it is certain only in a [network of one's own](crate::namespace).
pub fn free_port(protocol: Protocol) -> u16 {
    static TAKEN: Mutex<BTreeSet<(Protocol, u16)>> = Mutex::new(BTreeSet::new());
    const PORTS: Range<u16> = 20_000..32_000;
    let mut taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
    let free = |&port: &u16| !taken.contains(&(protocol, port)) && probe(protocol, port).is_ok();
    // When every port of the range is taken, the machine's start reports it.
    let port = PORTS.into_iter().find(free).unwrap_or(PORTS.start);
    taken.insert((protocol, port));
    port
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_the_written_form_is_taken() {
        assert_eq!("tcp:8080:80".parse(), Ok(Forward::tcp(8080, 80)));
        assert_eq!("udp:8007:7".parse(), Ok(Forward::udp(8007, 7)));
        for text in
            ["", "8080:80", "tcp:8080", "tcp:0:80", "tcp:8080:80:1", "tcp:+1:80", "sctp:1:2"]
        {
            let error = text.parse::<Forward>().unwrap_err().to_string();
            assert!(error.contains("tcp:HOSTPORT:GUESTPORT"), "{error}");
        }
    }

    #[test]
    fn a_taken_port_is_found_and_another_is_offered() {
        crate::namespace::enter().unwrap();
        let holder = TcpListener::bind("127.0.0.1:0").unwrap();
        let forward = Forward::tcp(holder.local_addr().unwrap().port(), 80);
        assert_eq!(forward.probe().unwrap_err().kind(), io::ErrorKind::AddrInUse);
        let next = forward.alternative(&[]);
        // Free, but the machine's own: the advice would only move the conflict.
        let others = [forward, Forward { guest_port: 443, ..next }];
        let error = super::super::check_ports(&others).unwrap_err();
        let other = forward.alternative(&others);
        assert!(error.to_string().contains(&other.to_string()), "{error}");
        assert_ne!(other.host_port, forward.host_port);
        assert_ne!(other.host_port, next.host_port);
        // Of the other protocol it is no conflict.
        assert_eq!(forward.alternative(&[Forward { protocol: Protocol::Udp, ..next }]), next);
        assert_eq!(other.guest_port, 80);
        other.probe().unwrap();
    }

    #[test]
    fn free_ports_are_handed_out_once() {
        let ports: std::collections::BTreeSet<u16> =
            (0..50).map(|_| free_port(Protocol::Tcp)).collect();
        assert_eq!(ports.len(), 50);
    }

    proptest! {
        #[test]
        fn the_written_form_comes_back(host in 1u16.., guest in 1u16.., tcp: bool) {
            let protocol = if tcp { Protocol::Tcp } else { Protocol::Udp };
            let forward = Forward { protocol, host_port: host, guest_port: guest };
            prop_assert_eq!(forward.to_string().parse(), Ok(forward));
        }
    }
}
