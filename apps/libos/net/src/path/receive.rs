//! The receive path's first steps: frames are taken from the interface, one at a time, and each is
//! queued with its owner.
//!
//! This runs in the stack's context, at the highest priority that anybody has asked for, so that a
//! frame of that priority never waits behind what is less urgent to know that it is there (Druschel
//! and Banga, "Lazy Receiver Processing", OSDI '96). What is done for all frames alike is short, and
//! ends at a bounded queue of the frame's owner. Looking at a frame takes no section; finding its
//! owner takes one.
//!
//! Connections of that highest priority are served where their frames are taken: nothing that is behind can be
//! more urgent. Such a run goes on as long as the segments that follow are of the same connection, which are then
//! looked up nowhere. When that is not possible, for the application is at the connection just then, they are
//! queued, and have their run when all frames have been taken.

use crate::ip::header;
use crate::path::classify::{Bad, Class, TAG, classify};
use crate::path::run::Run;
use crate::path::run_queue::Runs;
use crate::path::stack::Stack;
use crate::path::work;
use crate::table::connection_record::Phase;
use crate::table::control::Kind;
use crate::table::flow_key::FlowKey;
use crate::table::handle::Net;
use crate::table::queue::Full;
use crate::table::ready_list::Listed;
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
    /// It was not queued: the run of its connection has begun.
    Begun,
    /// It was queued, and the connections of its group are to run at once.
    Runs(u32),
    /// As `Queued`, and no more is to be taken before they have had some.
    Enough(EventId),
    /// It is to be dropped, which has been counted.
    Dropped,
}

/// What the frames of one run of the handler have in common.
struct Batch {
    /// How many more are taken.
    budget: u32,
    /// The group of which listed connections run when all have been taken.
    urgent: Option<u32>,
    /// The run that goes on as long as segments for it come, if it has begun.
    run: Run,
    runs: Runs,
}

impl<K: Kernel> Stack<K> {
    /// Frames have been received, and the interface does not interrupt for more.
    pub(crate) fn received(&mut self) {
        let (run, runs) = (Run::default(), Runs::default());
        let mut batch = Batch { budget: BATCH, urgent: None, run, runs };
        // What came in fragments is as what comes whole; there are few.
        while let Some(frame) = self.assembled.pop() {
            self.frame(Some(frame), &mut batch);
        }
        while batch.budget > 0
            && let Some(frame) = self.receiver.next()
        {
            batch.budget -= 1;
            self.frame(Some(frame), &mut batch);
        }
        self.end_if_begun(&mut batch);
        self.attached_end_of_batch();
        let Batch { budget, urgent, runs, .. } = batch;
        match urgent {
            Some(group) => self.run_more(group, runs),
            None => self.end_runs(&runs),
        }
        // Others of the same priority run before what has come meanwhile.
        if (budget == 0 || self.receiver.enable() || !self.assembled.is_empty())
            && let Some(events) = self.net.events()
        {
            self.net.activate(events.received);
        }
    }

    /// Serves a frame where it is, or queues it with its owner. One that was not queued is dropped here, outside
    /// of sections: its buffer goes back to the device's pool.
    #[inline]
    fn frame(&mut self, mut frame: Option<Frame>, batch: &mut Batch) {
        let Some(bytes) = frame.as_deref() else { return };
        let mut class = classify(bytes, &self.engine.station);
        if class == Err(Bad::PriorityTagged) {
            class = self.untagged(&mut frame);
        }
        if self.goes_on(&batch.run, &class) {
            batch.run.beside += 1;
            return batch.run.feed(self, frame);
        }
        self.end_if_begun(batch);
        if class == Ok(Class::Attached) {
            return frame.map_or((), |frame| self.attached_frame(frame));
        }
        let hash = match &class {
            Ok(Class::Tcp { key, .. }) => self.hash.of(key),
            _ => 0,
        };
        let Batch { budget, urgent, run, .. } = batch;
        let begins = self.engine.look_for_room().then_some(&mut *run);
        let verdict = self.net.with(|shared| shared.take(&mut frame, class, hash, *urgent, begins));
        match verdict {
            Verdict::Begun => {
                run.begin(self);
                run.feed(self, frame);
            }
            Verdict::Queued(event) => self.net.activate(event),
            Verdict::Runs(group) => *urgent = Some(group),
            Verdict::Enough(event) => {
                self.net.activate(event);
                *budget = 0;
            }
            Verdict::Dropped => {}
        }
    }
}

impl<K: Kernel> Stack<K> {
    /// Whether a frame is a further segment for the run that has begun.
    #[inline]
    fn goes_on(&self, run: &Run, class: &Result<Class, Bad>) -> bool {
        match class {
            Ok(Class::Tcp { key, flags }) if run.has_begun() => {
                let opening = flags & header::SYN != 0;
                *key == run.key && !opening && run.work.fed < work::BATCH && self.engine.room > 0
            }
            _ => false,
        }
    }

    /// Ends the run that has begun, if one has.
    #[inline]
    fn end_if_begun(&mut self, batch: &mut Batch) {
        let Batch { run, runs, .. } = batch;
        if run.has_begun() {
            let ended = self.end_run(run);
            self.note_run(run, &ended, runs);
        }
    }

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
    /// Queues a frame with its owner, or has its connection's run begin, in `begins`. Constant time, without a
    /// heap. The listed connections of one group at most may run at once: `urgent`, if that is known already.
    #[inline]
    fn take(
        &mut self,
        frame: &mut Option<Frame>,
        class: Result<Class, Bad>,
        hash: u32,
        urgent: Option<u32>,
        begins: Option<&mut Run>,
    ) -> Verdict {
        self.counters.frames += 1;
        match class {
            Ok(Class::Tcp { key, flags }) => {
                self.segment(frame, (&key, hash, flags), urgent, begins)
            }
            Ok(Class::Udp { port, broadcast }) => self.datagram(frame, port, broadcast),
            Ok(Class::Fragment) => {
                let verdict = self.other(frame);
                if matches!(verdict, Verdict::Queued(_)) {
                    self.counters.others -= 1;
                    self.counters.fragments += 1;
                }
                verdict
            }
            Ok(Class::Arp | Class::Nd) => self.control(frame, Kind::Neighbours),
            Ok(Class::Dhcp) => self.control(frame, Kind::Dhcp),
            Ok(Class::IcmpError) => self.control(frame, Kind::Errors),
            Ok(Class::Icmp | Class::UnknownProtocol | Class::Attached) => self.other(frame),
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
        (key, hash, flags): (&FlowKey, u32, u8),
        urgent: Option<u32>,
        begins: Option<&mut Run>,
    ) -> Verdict {
        let opening = flags & (header::SYN | header::ACK | header::RST) == header::SYN;
        let Self { flows, records, groups, frames, counters, held, .. } = self;
        if let Some(index) = flows.find(records, key, hash) {
            let record = &mut records[index];
            // The listener decides whether an opening may replace a connection in TIME-WAIT.
            if !(opening && record.phase == Phase::TimeWait) {
                let Some(events) = record.events else { return Verdict::Dropped };
                let group = &mut groups[record.group as usize];
                // Of the highest priority that there is: nothing more urgent can be behind it.
                let usual = group.settings.priority;
                let foremost = record.priority == usual && usual >= self.receiving_at;
                let ready = record.endpoint.is_some() && record.queue.is_empty();
                if let Some(run) = begins.filter(|_| foremost && ready) {
                    counters.segments += 1;
                    run.take(index, (record, group), events, held);
                    return Verdict::Begun;
                }
                let queued = match frames.has_room_for(group.queued) {
                    true => frames.push(&mut record.queue, frame),
                    false => Err(Full::Queue),
                };
                if let Err(full) = queued {
                    return self.refused(full);
                }
                group.queued += 1;
                counters.segments += 1;
                // As `make_ready` does it, with what is at hand.
                if record.priority != usual {
                    return Verdict::Queued(events.segment);
                }
                let (owner, runs) = (record.group, group.run_event);
                if let Listed::Behind(last) = group.ready.append(&mut record.ready, index) {
                    records[last].ready.lead_to(index);
                }
                let free = urgent.is_none_or(|urgent| urgent == owner);
                let runs = runs.unwrap_or(events.segment);
                // What comes faster than it is served had better wait with the device than be dropped.
                return match foremost {
                    true if group.queued >= self.share / 2 => Verdict::Enough(runs),
                    true if free => Verdict::Runs(owner),
                    _ => Verdict::Queued(runs),
                };
            }
        }
        let kind = flags & (header::SYN | header::ACK | header::RST);
        if opening || kind == header::ACK && self.has_answered_by_cookies(key.local_port) {
            return self.opening(frame, key.local_port);
        }
        self.other(frame)
    }

    /// Whether an acknowledgement for nobody may be that of an opening that was answered by a cookie.
    fn has_answered_by_cookies(&self, port: u16) -> bool {
        let group = self.ports.get(port).and_then(|group| self.groups.get(group as usize));
        group.is_some_and(|group| group.cookies_until.is_some())
    }

    fn opening(&mut self, frame: &mut Option<Frame>, port: u16) -> Verdict {
        let group = self.ports.get(port).and_then(|group| self.groups.get_mut(group as usize));
        let Some(group) = group else { return self.other(frame) };
        let Some(event) = group.opening_event else { return self.other(frame) };
        let queued = match self.frames.has_room_for(u32::from(group.openings.len()) + group.queued)
        {
            true => self.frames.push(&mut group.openings, frame),
            false => Err(Full::Queue),
        };
        match queued {
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
        let queued = match self.frames.has_room_for(socket.queue.len().into()) {
            true => self.frames.push(&mut socket.queue, frame),
            false => Err(Full::Queue),
        };
        match queued {
            Ok(()) => {
                self.counters.datagrams += 1;
                Verdict::Queued(event)
            }
            Err(full) => self.refused(full),
        }
    }

    fn control(&mut self, frame: &mut Option<Frame>, kind: Kind) -> Verdict {
        self.queue_for_stack(frame, Some(kind))
    }

    fn other(&mut self, frame: &mut Option<Frame>) -> Verdict {
        self.queue_for_stack(frame, None)
    }

    fn queue_for_stack(&mut self, frame: &mut Option<Frame>, kind: Option<Kind>) -> Verdict {
        let Some(event) = self.unmatched_event else { return self.refused(Full::Queue) };
        let queued = match kind {
            Some(kind) => self.control.push(kind, frame),
            None => self.frames.push(&mut self.unmatched, frame),
        };
        match queued {
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
