//! The protocol beside the stack at work: in the stack's context.

use crate::ip::endpoint::Hop as Remembered;
use crate::ip::header::ETHERNET;
use crate::path::attached::{Beside, Interface, REMEMBERED};
use crate::path::stack::Stack;
use crate::table::waiter::Waiter;
use alloc::boxed::Box;
use core::net::IpAddr;
use reflex_event::{Kernel, Priority};
use reflex_hil::{AttachedProtocol, Frame, Link};

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

    pub(crate) fn beside_run(&mut self, number: u32, level: u8) {
        if self.beside.is_none() {
            // Its event may be more urgent than the one that says that it has come.
            self.beside_arrive();
        }
        self.with_beside(level, |protocol, link| protocol.run(number, link));
        self.settle_accounts();
    }

    /// A buffer or a neighbour that the protocol waited for may be there, or it has just come.
    pub(crate) fn beside_ready(&mut self) {
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
