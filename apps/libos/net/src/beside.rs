//! A protocol beside the stack, which has the frames of a UDP port to itself: it runs in the stack's
//! context, and sends through the stack's interface and to its neighbours.

use crate::engine::Engine;
use crate::neighbour::Answer;
use crate::packet::ETHERNET;
use crate::record::Hop as Remembered;
use crate::wait::Waiter;
use crate::{Error, Net, Stack};
use alloc::boxed::Box;
use core::net::IpAddr;
use reflex_event::{Accumulation, EventId, Instant, Kernel, Priority, Registration};
use reflex_hil::{AttachedProtocol, Frame, Hop, Link, NextHop, NicError};

/// Next hops that are remembered, by the lowest bits of the address.
const REMEMBERED: usize = 16;

/// The protocol, and what is kept for it.
pub(crate) struct Beside {
    protocol: Box<dyn AttachedProtocol>,
    hops: [(IpAddr, Remembered); REMEMBERED],
    /// Frames were handed over that it has not settled.
    unsettled: bool,
}

/// The interface, for as long as the protocol runs.
struct Interface<'a> {
    engine: &'a mut Engine,
    hops: &'a mut [(IpAddr, Remembered); REMEMBERED],
    now: Instant,
    level: u8,
    sent: bool,
    starved: bool,
    unresolved: bool,
}

/// A protocol's place beside the stack. Its events run in the stack's context.
pub struct Attachment<K: Kernel> {
    net: Net<K>,
}

impl<K: Kernel> Clone for Attachment<K> {
    fn clone(&self) -> Self {
        Self { net: self.net.clone() }
    }
}

impl<K: Kernel> Net<K> {
    /// Hands `protocol` the frames of a UDP port from now on, also when a socket is bound to it.
    /// There can be one only.
    ///
    /// # Errors
    /// [`Error::PortInUse`] when there is one, [`Error::NotStarted`], [`Error::Event`].
    pub fn attach(
        &self,
        port: u16,
        protocol: Box<dyn AttachedProtocol>,
    ) -> Result<Attachment<K>, Error> {
        let stack = self.stack()?;
        let mut protocol = Some(protocol);
        self.with(|shared| {
            if shared.beside_port.is_some() {
                return Err(Error::PortInUse);
            }
            (shared.beside_port, shared.arriving) = (Some(port), protocol.take());
            Ok(())
        })?;
        let registration = Registration { accumulation: Accumulation::Count, ..Default::default() };
        let ready = self.kernel().register(stack, registration, |stack, _| stack.beside_ready());
        let ready = ready.inspect_err(|_| {
            let _protocol = self.with(|shared| {
                shared.beside_port = None;
                shared.arriving.take()
            });
        })?;
        self.with(|shared| shared.beside_ready = Some(ready));
        self.activate(ready);
        Ok(Attachment { net: self.clone() })
    }
}

impl<K: Kernel> Attachment<K> {
    /// Registers an event that has the protocol run under `number` when it occurs. The frames of
    /// the interface are received at the highest priority that anybody has.
    ///
    /// # Errors
    /// [`Error::NotStarted`], [`Error::Event`].
    pub fn event(&self, priority: Priority, number: u32) -> Result<EventId, Error> {
        let registration = Registration { priority, accumulation: Accumulation::Count };
        let level = priority.level();
        let run = move |stack: &mut Stack<K>, _| stack.beside_run(number, level);
        let event = self.net.kernel().register(self.net.stack()?, registration, run)?;
        self.net.with(|shared| shared.levels.add(priority));
        self.net.follow_priorities();
        Ok(event)
    }

    /// Ends an event that was registered at this priority.
    pub fn end(&self, event: EventId, priority: Priority) {
        // It can have ended before only by this call, which tells its caller nothing new.
        if self.net.kernel().unregister(event).is_ok() {
            self.net.with(|shared| shared.levels.remove(priority));
            self.net.follow_priorities();
        }
    }
}

impl<K: Kernel> Stack<K> {
    /// Hands the protocol a frame.
    #[inline]
    pub(crate) fn beside_frame(&mut self, frame: Frame) {
        let first =
            self.beside.as_mut().map(|beside| !core::mem::replace(&mut beside.unsettled, true));
        if first == Some(true) {
            self.beside_level = self.net.with(|shared| shared.receiving_at.level());
        }
        let level = self.beside_level;
        self.engine.tally.beside += 1;
        self.with_beside(level, |protocol, link| protocol.received(frame, ETHERNET, link));
    }

    /// All frames of a run have been handed over.
    #[inline]
    pub(crate) fn beside_settle(&mut self) {
        if self.beside.as_mut().is_some_and(|beside| core::mem::take(&mut beside.unsettled)) {
            self.with_beside(self.beside_level, |protocol, link| protocol.end_of_batch(link));
            self.settle_accounts();
        }
    }

    fn beside_run(&mut self, number: u32, level: u8) {
        if self.beside.is_none() {
            // Its event may be more urgent than the one that says that it has come.
            self.beside_arrive();
        }
        self.with_beside(level, |protocol, link| protocol.run(number, link));
        self.settle_accounts();
    }

    /// A buffer or a neighbour that the protocol waited for may be there, or it has just come.
    fn beside_ready(&mut self) {
        self.beside_arrive();
        let level = Priority::DEFAULT.level();
        self.with_beside(level, |protocol, link| protocol.ready(link));
        self.settle_accounts();
    }

    /// Takes the protocol over, if it has been attached just now.
    fn beside_arrive(&mut self) {
        let Some(protocol) = self.net.with(|shared| shared.arriving.take()) else { return };
        let nowhere = (IpAddr::V4(core::net::Ipv4Addr::UNSPECIFIED), Remembered::UNKNOWN);
        let beside = Beside { protocol, hops: [nowhere; REMEMBERED], unsettled: false };
        self.beside = Some(Box::new(beside));
        self.engine.station.beside = self.net.with(|shared| shared.beside_port);
        self.beside_addressed();
    }

    /// The interface's addresses are others.
    pub(crate) fn beside_addressed(&mut self) {
        let addresses = self.engine.addresses();
        if let Some(beside) = &mut self.beside {
            beside.protocol.addresses_changed(&addresses);
        }
    }

    /// Lets the protocol work, and does afterwards what that makes necessary.
    fn with_beside(
        &mut self,
        level: u8,
        work: impl FnOnce(&mut dyn AttachedProtocol, &mut dyn Link),
    ) {
        let Some(beside) = &mut self.beside else { return };
        let Beside { protocol, hops, .. } = &mut **beside;
        let now = self.net.kernel().now();
        let (sent, starved, unresolved) = (false, false, false);
        let engine = &mut self.engine;
        let mut link = Interface { engine, hops, now, level, sent, starved, unresolved };
        work(&mut **protocol, &mut link);
        let Interface { sent, starved, unresolved, .. } = link;
        if starved {
            self.starve(Waiter::BesideBuffer);
        } else if sent {
            self.engine.transmit.flush();
            self.engine.unflushed = None;
        }
        if unresolved && self.net.with(|shared| shared.wait_for_neighbour(Waiter::BesideHop)) {
            self.retry_later();
        }
    }
}

impl NextHop for Interface<'_> {
    fn next_hop(&mut self, remote: IpAddr) -> Hop {
        let lowest = match remote {
            IpAddr::V4(remote) => remote.octets()[3],
            IpAddr::V6(remote) => remote.octets()[15],
        };
        let (address, hop) = &mut self.hops[usize::from(lowest) % REMEMBERED];
        if *address != remote {
            (*address, *hop) = (remote, Remembered::UNKNOWN);
        }
        match self.engine.remembered_hop(hop, remote, self.now) {
            Answer::Known(mac, _) => Hop::Known(mac),
            Answer::Pending => {
                self.unresolved = true;
                Hop::Pending
            }
            Answer::Gone => Hop::Gone,
        }
    }
}

impl Link for Interface<'_> {
    fn mac(&self) -> [u8; 6] {
        self.engine.mac
    }

    fn mtu(&self) -> usize {
        self.engine.transmit.mtu()
    }

    fn level(&self) -> u8 {
        self.level
    }

    #[inline]
    fn transmit(&mut self, length: usize, fill: &mut dyn FnMut(&mut [u8])) -> Result<(), NicError> {
        let result = self.engine.transmit.transmit(length, fill);
        self.starved |= result == Err(NicError::TransmitFull);
        let sent = result.is_ok();
        self.sent |= sent;
        self.engine.tally.sent += u64::from(sent);
        // Others look again how many there are.
        self.engine.room = 0;
        result
    }
}
