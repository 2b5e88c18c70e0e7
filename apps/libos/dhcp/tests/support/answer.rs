//! A server's message in the making.

use super::sent::Sent;
use super::{HOST, MAC, SERVER, SERVER_MAC, frame};
use std::net::Ipv4Addr;

pub(crate) const OFFER: u8 = 2;
pub(crate) const ACK: u8 = 5;
pub(crate) const NAK: u8 = 6;

/// What a server answers. The fields are there to be bent.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) op: u8,
    pub(crate) hardware: [u8; 3],
    pub(crate) xid: u32,
    pub(crate) ciaddr: Ipv4Addr,
    pub(crate) yiaddr: Ipv4Addr,
    pub(crate) giaddr: Ipv4Addr,
    pub(crate) chaddr: [u8; 6],
    pub(crate) sname: Vec<u8>,
    pub(crate) file: Vec<u8>,
    pub(crate) cookie: [u8; 4],
    /// In their order; the message type and the server are among them.
    pub(crate) options: Vec<(u8, Vec<u8>)>,
    /// What is behind the options.
    pub(crate) tail: Vec<u8>,
    pub(crate) stations: ([u8; 6], [u8; 6]),
    pub(crate) hosts: (Ipv4Addr, Ipv4Addr),
    pub(crate) ports: (u16, u16),
}

impl Answer {
    /// An answer of this kind by the usual server, with an hour, a mask and a router.
    pub(crate) fn new(kind: u8, to: &Sent) -> Self {
        Self {
            op: 2,
            hardware: [1, 6, 0],
            xid: to.xid,
            ciaddr: Ipv4Addr::UNSPECIFIED,
            yiaddr: HOST,
            giaddr: Ipv4Addr::UNSPECIFIED,
            chaddr: MAC,
            sname: Vec::new(),
            file: Vec::new(),
            cookie: [99, 130, 83, 99],
            options: vec![(53, vec![kind]), (54, SERVER.octets().to_vec())],
            tail: vec![255],
            stations: (SERVER_MAC, MAC),
            hosts: (SERVER, HOST),
            ports: (67, 68),
        }
        .seconds(3600)
        .with(1, [255, 255, 255, 0])
        .with(3, SERVER.octets())
    }

    pub(crate) fn offer(to: &Sent) -> Self {
        Self::new(OFFER, to)
    }

    pub(crate) fn ack(to: &Sent) -> Self {
        Self::new(ACK, to)
    }

    /// A refusal says nothing else.
    pub(crate) fn nak(to: &Sent) -> Self {
        let nak = Self::new(NAK, to).without(51).without(1).without(3);
        Self { yiaddr: Ipv4Addr::UNSPECIFIED, ..nak }
    }

    /// With an option, in place of an equal one.
    pub(crate) fn with(mut self, code: u8, value: impl AsRef<[u8]>) -> Self {
        let value = value.as_ref().to_vec();
        match self.options.iter_mut().find(|(found, _)| *found == code) {
            Some(option) => option.1 = value,
            None => self.options.push((code, value)),
        }
        self
    }

    /// With an option beside equal ones.
    pub(crate) fn and(mut self, code: u8, value: impl AsRef<[u8]>) -> Self {
        self.options.push((code, value.as_ref().to_vec()));
        self
    }

    pub(crate) fn without(mut self, code: u8) -> Self {
        self.options.retain(|(found, _)| *found != code);
        self
    }

    /// The lease time.
    pub(crate) fn seconds(self, seconds: u32) -> Self {
        self.with(51, seconds.to_be_bytes())
    }

    pub(crate) fn by(self, server: Ipv4Addr) -> Self {
        Self { hosts: (server, self.hosts.1), ..self.with(54, server.octets()) }
    }

    pub(crate) fn address(self, yiaddr: Ipv4Addr) -> Self {
        Self { yiaddr, ..self }
    }

    /// The options, and what is behind them.
    fn options(&self) -> Vec<u8> {
        let mut bytes = encoded(&self.options);
        bytes.extend(&self.tail);
        bytes
    }

    pub(crate) fn message(&self) -> Vec<u8> {
        let mut bytes = vec![self.op];
        bytes.extend(self.hardware);
        bytes.extend(self.xid.to_be_bytes());
        bytes.extend([0; 4]);
        for address in [self.ciaddr, self.yiaddr, Ipv4Addr::UNSPECIFIED, self.giaddr] {
            bytes.extend(address.octets());
        }
        bytes.extend(self.chaddr);
        bytes.extend([0; 10]);
        for (field, length) in [(&self.sname, 64), (&self.file, 128)] {
            let mut field = field.clone();
            field.resize(length, 0);
            bytes.extend(field);
        }
        bytes.extend(self.cookie);
        bytes.extend(self.options());
        bytes
    }

    pub(crate) fn frame(&self) -> Vec<u8> {
        frame(self.stations, self.hosts, self.ports, &self.message())
    }
}

/// Options as bytes, without an end.
pub(crate) fn encoded(options: &[(u8, Vec<u8>)]) -> Vec<u8> {
    let one = |(code, value): &(u8, Vec<u8>)| [&[*code, value.len() as u8], &value[..]].concat();
    options.iter().flat_map(one).collect()
}
