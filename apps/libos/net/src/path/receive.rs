//! The receive path's first steps: frames are taken from the interface, one at a time, and each is
//! queued with its owner.
//!
//! This runs in the stack's context, at the highest priority that anybody has asked for, so that a
//! frame of that priority never waits behind what is less urgent to know that it is there (Druschel
//! and Banga, "Lazy Receiver Processing", OSDI '96). What is done for all frames alike is short, and
//! ends at a bounded queue of the frame's owner. Looking at a frame takes no section; finding its
//! owner takes one.
//!
//! When all have been taken, connections of that highest priority run at once, in the same run of the handler.

use crate::ip::header;
use crate::path::classify::{Bad, Class, TAG, classify};
use crate::path::stack::Stack;
use crate::table::connection_record::Phase;
use crate::table::flow_key::FlowKey;
use crate::table::handle::Net;
use crate::table::queue::Full;
use crate::table::tables::Shared;
use reflex_event::{EventId, Kernel};
use reflex_hil::Frame;

/// Most frames taken in one run: then others of the same priority run.
const BATCH: u32 = 32;

/// What is to be done about a frame.
#[derive(Clone, Copy)]
enum Verdict {
    /// It was queued, and its owner is to be activated.
    Queued(EventId),
    /// It was queued, and the connections of its group are to run at once.
    Runs(u32),
    /// As `Queued`, and no more is to be taken before they have had some.
    Enough(EventId),
    /// It is to be dropped, which has been counted.
    Dropped,
}

impl<K: Kernel> Stack<K> {
    /// Frames have been received, and the interface does not interrupt for more.
    pub(crate) fn received(&mut self) {
        let mut budget = BATCH;
        let mut urgent = None;
        let mut frame = self.receiver.next();
        while let Some(bytes) = frame.as_deref() {
            let mut class = classify(bytes, &self.engine.station);
            if class == Err(Bad::PriorityTagged) {
                class = self.untagged(&mut frame);
            }
            let hash = match &class {
                Ok(Class::Tcp { key, .. }) => self.hash.of(key),
                _ => 0,
            };
            budget -= 1;
            let taken = frame.take_if(|_| class == Ok(Class::Attached));
            if let Some(frame) = taken {
                self.attached_frame(frame);
            } else {
                let verdict = self.net.with(|shared| shared.take(&mut frame, class, hash, urgent));
                match verdict {
                    Verdict::Queued(event) => self.net.activate(event),
                    Verdict::Runs(group) => urgent = Some(group),
                    Verdict::Enough(event) => {
                        self.net.activate(event);
                        budget = 0;
                    }
                    Verdict::Dropped => {}
                }
            }
            // One that was not queued is dropped here, outside of sections: its buffer goes back to
            // the device's pool.
            frame = if budget > 0 { self.receiver.next() } else { None };
        }
        self.attached_end_of_batch();
        if let Some(group) = urgent {
            self.run_listed(group);
        }
        // Others of the same priority run before what has come meanwhile.
        if (budget == 0 || self.receiver.enable())
            && let Some(events) = self.net.events()
        {
            self.net.activate(events.received);
        }
    }
}

impl<K: Kernel> Stack<K> {
    /// Takes the tag out of a frame, for good: what it is for then. A second tag is not looked behind.
    #[cold]
    fn untagged(&mut self, frame: &mut Option<Frame>) -> Result<Class, Bad> {
        let frame = frame.as_mut().ok_or(Bad::Malformed)?;
        frame.cut(TAG);
        let class = classify(frame, &self.engine.station);
        match class {
            Err(Bad::PriorityTagged) => Err(Bad::UnknownProtocol),
            class => class,
        }
    }
}

impl Shared {
    /// Queues a frame with its owner. Constant time, without a heap. The connections of one group at
    /// most may run at once: `urgent`, if that is known already.
    #[inline]
    fn take(
        &mut self,
        frame: &mut Option<Frame>,
        class: Result<Class, Bad>,
        hash: u32,
        urgent: Option<u32>,
    ) -> Verdict {
        self.counters.frames += 1;
        match class {
            Ok(Class::Tcp { key, flags }) => self.segment(frame, &key, hash, flags, urgent),
            Ok(Class::Udp { port, broadcast }) => self.datagram(frame, port, broadcast),
            Ok(_) => self.other(frame),
            Err(bad) => {
                *self.reason(bad) += 1;
                Verdict::Dropped
            }
        }
    }

    #[inline]
    fn segment(
        &mut self,
        frame: &mut Option<Frame>,
        key: &FlowKey,
        hash: u32,
        flags: u8,
        urgent: Option<u32>,
    ) -> Verdict {
        let opening = flags & (header::SYN | header::ACK | header::RST) == header::SYN;
        let Self { flows, records, groups, frames, counters, .. } = self;
        if let Some(index) = flows.find(records, key, hash) {
            let record = &mut records[index];
            // The listener decides whether an opening may replace a connection in TIME-WAIT.
            if !(opening && record.phase == Phase::TimeWait) {
                let Some(events) = record.events else { return Verdict::Dropped };
                let group = &mut groups[record.group as usize];
                let queued = match group.queued < self.share {
                    true => frames.push(&mut record.queue, frame),
                    false => Err(Full::Queue),
                };
                if let Err(full) = queued {
                    return self.refused(full);
                }
                group.queued += 1;
                counters.segments += 1;
                // As `make_ready` does it, with what is at hand.
                let usual = group.settings.priority;
                if record.priority != usual {
                    return Verdict::Queued(events.segment);
                }
                let (owner, runs) = (record.group, group.run_event);
                if let Some(last) = group.ready.append(record, index) {
                    records[last].next_ready = index;
                }
                let free = urgent.is_none_or(|urgent| urgent == owner);
                let runs = runs.unwrap_or(events.segment);
                // Of the highest priority that there is: nothing more urgent can be behind it, so that
                // what comes faster than it is served had better wait with the device than be dropped.
                return match usual >= self.receiving_at {
                    true if group.queued >= self.share / 2 => Verdict::Enough(runs),
                    true if free => Verdict::Runs(owner),
                    _ => Verdict::Queued(runs),
                };
            }
        }
        if opening { self.opening(frame, key.local_port) } else { self.other(frame) }
    }

    fn opening(&mut self, frame: &mut Option<Frame>, port: u16) -> Verdict {
        let group = self.ports.get(port).and_then(|group| self.groups.get_mut(group as usize));
        let Some(group) = group else { return self.other(frame) };
        let Some(event) = group.opening_event else { return self.other(frame) };
        match self.frames.push(&mut group.openings, frame) {
            Ok(()) => {
                self.counters.openings += 1;
                Verdict::Queued(event)
            }
            Err(full) => self.refused(full),
        }
    }

    fn datagram(&mut self, frame: &mut Option<Frame>, port: u16, broadcast: bool) -> Verdict {
        let index = self.udp_ports.get(port);
        let Some(socket) = index.and_then(|index| self.sockets.get_mut(index as usize)) else {
            if broadcast {
                // Nobody answers a broadcast to a closed port (RFC 1122, 3.2.2).
                self.counters.not_for_us += 1;
                return Verdict::Dropped;
            }
            return self.other(frame);
        };
        let Some(event) = socket.receive_event else { return Verdict::Dropped };
        match self.frames.push(&mut socket.queue, frame) {
            Ok(()) => {
                self.counters.datagrams += 1;
                Verdict::Queued(event)
            }
            Err(full) => self.refused(full),
        }
    }

    fn other(&mut self, frame: &mut Option<Frame>) -> Verdict {
        let Some(event) = self.unmatched_event else { return self.refused(Full::Queue) };
        match self.frames.push(&mut self.unmatched, frame) {
            Ok(()) => {
                self.counters.others += 1;
                Verdict::Queued(event)
            }
            Err(full) => self.refused(full),
        }
    }

    fn reason(&mut self, bad: Bad) -> &mut u64 {
        match bad {
            Bad::NotForUs => &mut self.counters.not_for_us,
            Bad::Malformed => &mut self.counters.malformed,
            Bad::Fragment => &mut self.counters.fragments,
            Bad::HeaderChecksum => &mut self.counters.bad_header_checksum,
            Bad::UnknownProtocol | Bad::PriorityTagged => &mut self.counters.unknown_protocol,
            Bad::UnreachableProtocol => &mut self.counters.unreachable_protocol,
        }
    }

    #[cold]
    fn refused(&mut self, full: Full) -> Verdict {
        match full {
            Full::Queue => self.counters.queue_full += 1,
            Full::Store => self.counters.frames_exhausted += 1,
        }
        Verdict::Dropped
    }
}

impl<K: Kernel> Net<K> {
    /// Has frames received at the highest priority that anybody has asked for. To be called when
    /// that may have changed.
    pub(crate) fn follow_priorities(&self) {
        let Some(events) = self.events() else { return };
        self.with(|shared| {
            let highest = shared.priorities.highest().unwrap_or_default();
            if core::mem::replace(&mut shared.receiving_at, highest) != highest {
                // In the section, so that of two that follow the later has the last word.
                let _ = self.kernel().set_priority(events.received, highest);
            }
        });
    }
}
