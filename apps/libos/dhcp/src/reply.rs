//! A server's message, read and checked.

use crate::address::{is_host, is_host_of, prefix};
use crate::code;
use crate::counters::Counters;
use crate::error::{Error, Oddity};
use crate::identity::Identity;
use crate::list::List;
use crate::message::Message;
use crate::name::Name;
use crate::options::{Options, Value};
use crate::parameters::{MOST_HOSTS, Parameters, Route};
use crate::routes;
use core::net::Ipv4Addr;

/// What kind of message it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Offer,
    Ack,
    Nak,
}

/// Seconds, as they were said.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Times {
    pub(crate) lease: Option<u32>,
    pub(crate) renewal: Option<u32>,
    pub(crate) rebinding: Option<u32>,
}

/// What a server says. What it did not say is `None`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reply {
    pub(crate) kind: Kind,
    /// The address it gives; a host's, unless nothing is given.
    pub(crate) address: Option<Ipv4Addr>,
    pub(crate) server: Option<Ipv4Addr>,
    pub(crate) times: Times,
    pub(crate) parameters: Parameters,
}

impl Reply {
    /// Reads a message to this client in the transaction that is under way. Not inlined: what is read
    /// and what follows from it would lie on the stack together.
    #[inline(never)]
    pub(crate) fn parse(
        bytes: &[u8],
        identity: &Identity,
        transaction: Option<u32>,
        counters: &mut Counters,
    ) -> Result<Self, Error> {
        let message = Message::new_checked(bytes, identity.mac)?;
        let options = Options::parse(&message, counters)?;
        let kind = match essential(&options, code::MESSAGE_TYPE)?.map(|[kind]| kind) {
            Some(code::OFFER) => Kind::Offer,
            Some(code::ACK) => Kind::Ack,
            Some(code::NAK) => Kind::Nak,
            Some(code::FORCERENEW) => return Err(Error::Forcerenew),
            Some(_) => return Err(Error::MessageType),
            None => return Err(Error::NoMessageType),
        };
        if message.xid() != transaction.ok_or(Error::Unexpected)? {
            return Err(Error::OtherTransaction);
        }
        let own = identity.bytes();
        let repeated = options.has(code::CLIENT) && !own.is_empty();
        if repeated && !options.bytes(code::CLIENT).eq(own.iter().copied()) {
            return Err(Error::OtherClient);
        }
        let server = essential(&options, code::SERVER)?.map(Ipv4Addr::from);
        if server.is_some_and(|server| !is_host(server)) {
            return Err(Error::ServerAddress);
        }
        let lease = essential(&options, code::LEASE_TIME)?.map(u32::from_be_bytes);
        let address = Some(message.yiaddr()).filter(|address| !address.is_unspecified());
        let mut reading = Reading { options, counters, address };
        let parameters = reading.parameters();
        let times = Times {
            lease,
            renewal: reading.fixed(code::RENEWAL_TIME).map(u32::from_be_bytes),
            rebinding: reading.fixed(code::REBINDING_TIME).map(u32::from_be_bytes),
        };
        // A server that refuses has no address to give.
        let prefix = parameters.prefix.unwrap_or(32);
        if kind != Kind::Nak && address.is_some_and(|address| !is_host_of(address, prefix)) {
            return Err(Error::Address);
        }
        Ok(Self { kind, address, server, times, parameters })
    }
}

/// An option without which the message means nothing: broken, it is refused.
fn essential<const N: usize>(options: &Options<'_>, code: u8) -> Result<Option<[u8; N]>, Error> {
    match options.fixed(code) {
        Value::Missing => Ok(None),
        Value::Is(value) => Ok(Some(value)),
        Value::Repeated(_) | Value::WrongLength => Err(Error::OptionLength),
    }
}

/// Options that are left out when they are broken, each with its count.
struct Reading<'a, 'c> {
    options: Options<'a>,
    counters: &'c mut Counters,
    address: Option<Ipv4Addr>,
}

impl Reading<'_, '_> {
    fn parameters(&mut self) -> Parameters {
        let mask = self.fixed(code::SUBNET_MASK);
        let mtu = self.fixed(code::MTU).map(u16::from_be_bytes);
        Parameters {
            prefix: mask.and_then(|mask| self.noted(prefix(mask), Oddity::Mask)),
            routers: self.hosts(code::ROUTERS),
            routes: self.routes(),
            name_servers: self.hosts(code::NAME_SERVERS),
            // Every host takes 576 bytes (RFC 791, 3.1); less only slows the host down.
            mtu: mtu.and_then(|mtu| self.noted((mtu >= 576).then_some(mtu), Oddity::Mtu)),
            domain: self.domain(),
        }
    }

    /// Counts what is missing.
    fn noted<T>(&mut self, value: Option<T>, oddity: Oddity) -> Option<T> {
        if value.is_none() {
            self.counters.note(oddity);
        }
        value
    }

    fn fixed<const N: usize>(&mut self, code: u8) -> Option<[u8; N]> {
        match self.options.fixed(code) {
            Value::Missing => None,
            Value::Is(value) => Some(value),
            Value::Repeated(value) => {
                self.counters.note(Oddity::Repeated);
                Some(value)
            }
            Value::WrongLength => {
                self.counters.note(Oddity::OptionIgnored);
                None
            }
        }
    }

    /// A list of addresses, without those that no other host can have.
    fn hosts(&mut self, code: u8) -> Option<List<Ipv4Addr, MOST_HOSTS>> {
        let length = self.options.length(code);
        if length == 0 || !length.is_multiple_of(4) {
            if self.options.has(code) {
                self.counters.note(Oddity::OptionIgnored);
            }
            return None;
        }
        let mut hosts = List::new();
        let mut bytes = self.options.bytes(code);
        while let Some(first) = bytes.next() {
            let mut octet = || bytes.next().unwrap_or_default();
            let host = Ipv4Addr::new(first, octet(), octet(), octet());
            if !is_host(host) || (code == code::ROUTERS && Some(host) == self.address) {
                self.counters.note(Oddity::HostAddress);
            } else if !hosts.push(host) {
                self.counters.note(Oddity::TooMany);
                break;
            }
        }
        (!hosts.is_empty()).then_some(hosts)
    }

    fn routes(&mut self) -> Option<List<Route, { crate::parameters::MOST_ROUTES }>> {
        if !self.options.has(code::CLASSLESS_ROUTES) {
            return None;
        }
        let parsed = routes::parse(self.options.bytes(code::CLASSLESS_ROUTES));
        let parsed = self.noted(parsed, Oddity::Routes)?;
        if parsed.too_many {
            self.counters.note(Oddity::TooMany);
        }
        Some(parsed.routes)
    }

    fn domain(&mut self) -> Option<Name> {
        if !self.options.has(code::DOMAIN) {
            return None;
        }
        let name = Name::new(self.options.bytes(code::DOMAIN));
        self.noted(name, Oddity::Name)
    }
}
