//! Frames that belong to no connection and no socket: ARP, ICMP, DHCP, closed ports.

use crate::path::classify::{Class, classify};
use crate::path::stack::Stack;
use crate::table::tables::Shared;
use reflex_event::Kernel;
use reflex_hil::Frame;

/// Most frames served in one run.
const BATCH: u32 = 4;

impl<K: Kernel> Stack<K> {
    pub(crate) fn unmatched(&mut self) {
        self.engine.room = self.engine.transmit.available();
        for _ in 0..BATCH {
            let frame = self.net.with(Shared::next_unmatched);
            let Some(frame) = frame else { break };
            let class = classify(&frame, &self.engine.station);
            self.other(class.ok(), frame);
        }
        self.engine.transmit.flush();
        self.engine.unflushed = None;
        self.settle_accounts();
        let more = self.net.with(|shared| {
            let waits = !shared.control.is_empty() || !shared.unmatched.is_empty();
            shared.unmatched_event.filter(|_| waits)
        });
        if let Some(event) = more {
            self.net.activate(event);
        }
    }

    fn other(&mut self, class: Option<Class>, frame: Frame) {
        let now = self.net.kernel().now();
        match class {
            Some(Class::Arp) => {
                if self.engine.arp(&frame, now) {
                    self.resolved();
                }
                self.look_for_conflict();
            }
            Some(Class::Nd) => {
                if self.engine.nd(&frame, now) {
                    self.resolved();
                }
                self.look_for_conflict();
            }
            Some(Class::Dhcp) => self.dhcp_frame(&frame),
            Some(Class::Icmp | Class::IcmpError) => self.icmp(frame),
            Some(Class::Fragment) => self.fragment(&frame),
            Some(_) => self.engine.unmatched(&frame, now),
            // The interface's address changed while it was queued.
            None => {}
        }
    }
}
