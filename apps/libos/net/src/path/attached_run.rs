//! The protocol beside the stack at work: in the stack's context.

use crate::ip::endpoint::Hop as Remembered;
use crate::ip::header::ETHERNET;
use crate::path::attached::{Attached, Interface, REMEMBERED};
use crate::path::stack::Stack;
use crate::table::waiter::Waiter;
use alloc::boxed::Box;
use core::net::IpAddr;
use reflex_event::{Kernel, Priority};
use reflex_hil::{AttachedProtocol, Frame, Link};

impl<K: Kernel> Stack<K> {
    /// Hands the protocol a frame.
    #[inline]
    pub(crate) fn attached_frame(&mut self, frame: Frame) {
        let first = self
            .attached
            .as_mut()
            .map(|attached| !core::mem::replace(&mut attached.unsettled, true));
        if first == Some(true) {
            self.attached_priority = self.net.with(|shared| shared.receiving_at.level());
        }
        let level = self.attached_priority;
        self.engine.tally.attached += 1;
        self.with_attached(level, |protocol, link| protocol.received(frame, ETHERNET, link));
    }

    /// All frames of a run have been handed over.
    #[inline]
    pub(crate) fn attached_end_of_batch(&mut self) {
        if self.attached.as_mut().is_some_and(|attached| core::mem::take(&mut attached.unsettled)) {
            self.with_attached(self.attached_priority, |protocol, link| {
                protocol.end_of_batch(link)
            });
            self.settle_accounts();
        }
    }

    pub(crate) fn run_attached(&mut self, number: u32, level: u8) {
        if self.attached.is_none() {
            // Its event may be more urgent than the one that says that it has come.
            self.attached_arrives();
        }
        self.with_attached(level, |protocol, link| protocol.run(number, link));
        self.settle_accounts();
    }

    /// A buffer or a neighbour that the protocol waited for may be there, or it has just come.
    pub(crate) fn attached_ready(&mut self) {
        self.attached_arrives();
        let level = Priority::DEFAULT.level();
        self.with_attached(level, |protocol, link| protocol.ready(link));
        self.settle_accounts();
    }

    /// Takes the protocol over, if it has been attached just now.
    fn attached_arrives(&mut self) {
        let Some(protocol) = self.net.with(|shared| shared.arriving.take()) else { return };
        let nowhere = (IpAddr::V4(core::net::Ipv4Addr::UNSPECIFIED), Remembered::UNKNOWN);
        let attached = Attached { protocol, hops: [nowhere; REMEMBERED], unsettled: false };
        self.attached = Some(Box::new(attached));
        self.engine.station.attached = self.net.with(|shared| shared.attached_port);
        self.attached_addresses_changed();
    }

    /// The interface's addresses are others.
    pub(crate) fn attached_addresses_changed(&mut self) {
        let addresses = self.engine.addresses();
        if let Some(attached) = &mut self.attached {
            attached.protocol.addresses_changed(&addresses);
        }
    }

    /// Lets the protocol work, and does afterwards what that makes necessary.
    fn with_attached(
        &mut self,
        level: u8,
        work: impl FnOnce(&mut dyn AttachedProtocol, &mut dyn Link),
    ) {
        let Some(attached) = &mut self.attached else { return };
        let Attached { protocol, hops, .. } = &mut **attached;
        let now = self.net.kernel().now();
        let (sent, starved, unresolved) = (false, false, false);
        let engine = &mut self.engine;
        let mut link = Interface { engine, hops, now, level, sent, starved, unresolved };
        work(&mut **protocol, &mut link);
        let Interface { sent, starved, unresolved, .. } = link;
        if starved {
            self.starve(Waiter::AttachedBuffer);
        } else if sent {
            self.engine.transmit.flush();
            self.engine.unflushed = None;
        }
        if unresolved && self.net.with(|shared| shared.wait_for_neighbour(Waiter::AttachedHop)) {
            self.retry_later();
        }
    }
}
