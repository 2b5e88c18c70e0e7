//! The DHCP client (RFC 2131): smoltcp's, with an interface of its own.
//!
//! smoltcp's client wants the medium Ethernet, the rest of the stack the medium IP. So it has a
//! second interface, which sees nothing but DHCP and the ARP replies it needs to renew a lease.

use crate::ip::header::ETHERNET;
use crate::ip::interface::Engine;
use crate::ip::time::{instant, time};
use crate::types::settings::InterfaceAddress;
use alloc::boxed::Box;
use alloc::vec::Vec;
use reflex_event::Instant;
use reflex_hil::{Frame, Transmit};
use smoltcp::iface::{Interface, PollResult, SocketHandle, SocketSet};
use smoltcp::phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::socket::dhcpv4;
use smoltcp::time::Instant as Time;
use smoltcp::wire::{DhcpOption, EthernetAddress, IpCidr};

/// The host name option (RFC 2132, 3.14).
const HOST_NAME: u8 = 12;

pub(crate) struct Dhcp {
    interface: Interface,
    sockets: SocketSet<'static>,
    handle: SocketHandle,
}

/// What the client has found out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Lease {
    Unchanged,
    Granted(InterfaceAddress),
    Lost,
}

impl Dhcp {
    pub(crate) fn new(
        transmit: &mut dyn Transmit,
        seed: u64,
        hostname: Option<&'static str>,
        now: Instant,
    ) -> Self {
        let mac = EthernetAddress(transmit.mac());
        let mut config = smoltcp::iface::Config::new(mac.into());
        config.random_seed = seed;
        let mut port = Link { transmit, frame: None, sent: 0 };
        let interface = Interface::new(config, &mut port, time(now));
        let mut socket = dhcpv4::Socket::new();
        if let Some(name) = hostname.and_then(|name| name.as_bytes().get(..name.len().min(63)))
            && !name.is_empty()
        {
            // Kept for ever, as the client is.
            let option = DhcpOption { kind: HOST_NAME, data: name };
            socket.set_outgoing_options(Box::leak(Box::new([option])));
        }
        let mut sockets = SocketSet::new(Vec::new());
        let handle = sockets.add(socket);
        Self { interface, sockets, handle }
    }

    /// Processes `frame`, if there is one, and whatever is due.
    pub(crate) fn run(&mut self, engine: &mut Engine, frame: Option<&Frame>, now: Time) -> Lease {
        let mut link =
            Link { transmit: &mut *engine.transmit, frame: frame.map(|frame| &**frame), sent: 0 };
        if frame.is_some() {
            self.interface.poll_ingress_single(now, &mut link, &mut self.sockets);
        }
        // Few steps: a discovery that was answered asks at once, and then waits.
        for _ in 0..4 {
            let sent =
                self.interface.poll_egress(now, &mut link, &mut self.sockets) != PollResult::None;
            if !sent {
                break;
            }
        }
        engine.tally.sent += u64::from(link.sent);
        if link.sent > 0 {
            link.transmit.flush();
        }
        let socket: &mut dhcpv4::Socket<'_> = self.sockets.get_mut(self.handle);
        let lease = match socket.poll() {
            None => Lease::Unchanged,
            Some(dhcpv4::Event::Deconfigured) => Lease::Lost,
            Some(dhcpv4::Event::Configured(lease)) => Lease::Granted(InterfaceAddress {
                address: lease.address.address(),
                prefix: lease.address.prefix_len(),
                gateway: lease.router,
            }),
        };
        let address = match lease {
            Lease::Unchanged => return lease,
            Lease::Granted(own) => Some(IpCidr::new(own.address.into(), own.prefix)),
            Lease::Lost => None,
        };
        self.interface.update_ip_addrs(|addresses| {
            addresses.clear();
            if let Some(address) = address {
                // Holds two; this is the first.
                let _ = addresses.push(address);
            }
        });
        lease
    }

    /// When there is something to do without a frame.
    pub(crate) fn due(&mut self, now: Instant) -> Option<Instant> {
        self.interface.poll_at(time(now), &self.sockets).map(instant)
    }
}

/// The network interface with its Ethernet headers.
struct Link<'a> {
    transmit: &'a mut dyn Transmit,
    frame: Option<&'a [u8]>,
    sent: u32,
}

impl Device for Link<'_> {
    type RxToken<'t>
        = Incoming<'t>
    where
        Self: 't;
    type TxToken<'t>
        = Outgoing<'t>
    where
        Self: 't;

    fn receive(&mut self, _: Time) -> Option<(Incoming<'_>, Outgoing<'_>)> {
        let frame = self.frame.take()?;
        Some((Incoming(frame), Outgoing { transmit: &mut *self.transmit, sent: &mut self.sent }))
    }

    fn transmit(&mut self, _: Time) -> Option<Outgoing<'_>> {
        if self.transmit.available() == 0 {
            return None;
        }
        Some(Outgoing { transmit: &mut *self.transmit, sent: &mut self.sent })
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = self.transmit.mtu() + ETHERNET;
        capabilities
    }
}

struct Incoming<'t>(&'t [u8]);

impl RxToken for Incoming<'_> {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, read: F) -> R {
        read(self.0)
    }
}

struct Outgoing<'t> {
    transmit: &'t mut dyn Transmit,
    sent: &'t mut u32,
}

impl TxToken for Outgoing<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, write: F) -> R {
        let mut write = Some(write);
        let mut result = None;
        let mut fill = |frame: &mut [u8]| {
            if let Some(write) = write.take() {
                result = Some(write(frame));
            }
        };
        if self.transmit.transmit(length, &mut fill).is_ok() {
            *self.sent += 1;
        }
        match (result, write) {
            (Some(result), _) => result,
            // Lost, like a packet on the wire; the client asks again. A cold path.
            (None, Some(write)) => write(&mut alloc::vec![0; length]),
            (None, None) => unreachable!("the packet was written and left no result"),
        }
    }
}
