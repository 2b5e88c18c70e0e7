//! The tables that the receive job, the stack and the applications share.
//!
//! All of it lies behind one dispatch ceiling and is only touched in short sections.

use crate::flow::{FlowTable, NONE};
use crate::packet::{self, Bad, Class, FlowKey, Station};
use crate::queue::{FrameStore, Full, Queue};
use crate::record::{List, Phase, Record};
use crate::settings::Settings;
use crate::udp::UdpRecord;
use crate::{Counters, InterfaceAddress, Net};
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;
use reflex_driver_api::Frame;
use reflex_event::{ContextId, EventId, Kernel, Priority};
use reflex_memory::Pool;

/// Registers the handler of one record with the application's context.
pub(crate) type Register<K> =
    dyn Fn(&Net<K>, Priority, u32, u32) -> Result<EventId, reflex_event::Error> + Send + Sync;

/// All connections of one listener, or all that one context opens.
pub(crate) struct Group<K: Kernel> {
    /// The context that serves them, and in which of its lives.
    pub(crate) owner: Owner,
    /// Counts those lives here: records of an earlier one are to be registered anew.
    pub(crate) life: u32,
    /// The owner has been given up.
    pub(crate) orphaned: bool,
    /// Of a listener.
    pub(crate) port: Option<u16>,
    /// Not after the listener was closed.
    pub(crate) listening: bool,
    pub(crate) settings: Settings,
    pub(crate) register: Arc<Register<K>>,
    pub(crate) pool: &'static Pool,
    /// Opening segments.
    pub(crate) openings: Queue,
    pub(crate) opening_event: Option<EventId>,
    /// Tells the device of the group's frames.
    pub(crate) flush_event: Option<EventId>,
    pub(crate) free: List,
    pub(crate) time_wait: List,
    /// A record whose making failed half-way, to be tried again.
    pub(crate) unbuilt: Option<u32>,
    /// Records made so far.
    pub(crate) made: u32,
    pub(crate) half_open: u32,
    /// Frames queued.
    pub(crate) queued: u32,
}

/// A context, and how often it had been given up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Owner {
    pub(crate) context: ContextId,
    pub(crate) failures: u32,
}

/// Who waits for a transmit buffer or for a neighbour's address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Waiter {
    Connection(u32),
    Datagrams(u32),
}

pub(crate) struct Shared<K: Kernel> {
    pub(crate) station: Station,
    /// Longest IPv4 packet.
    pub(crate) mtu: usize,
    pub(crate) address: Option<InterfaceAddress>,
    pub(crate) flows: FlowTable,
    pub(crate) records: Vec<Record>,
    pub(crate) groups: Vec<Group<K>>,
    /// Listening TCP ports and their groups, by port.
    pub(crate) ports: Vec<(u16, u32)>,
    pub(crate) frames: FrameStore,
    /// Most frames one group or socket may have queued.
    pub(crate) share: u32,
    pub(crate) others: Queue,
    pub(crate) others_event: Option<EventId>,
    pub(crate) sockets: Vec<UdpRecord>,
    /// Bound UDP ports and their sockets, by port.
    pub(crate) udp_ports: Vec<(u16, u32)>,
    /// Waiting for a transmit buffer.
    pub(crate) starved: VecDeque<Waiter>,
    /// Waiting for a neighbour.
    pub(crate) unresolved: VecDeque<Waiter>,
    /// Told of every change of the address.
    pub(crate) address_events: Vec<EventId>,
    pub(crate) counters: Counters,
}

/// Most frames that wait for the handler of everything without a connection.
const OTHERS: u16 = 64;

impl<K: Kernel> Shared<K> {
    pub(crate) fn new(mac: [u8; 6], mtu: usize, key: &[u8; 16], frames: u32) -> Self {
        Self {
            station: Station { mac, address: None },
            mtu,
            address: None,
            flows: FlowTable::new(key),
            records: Vec::new(),
            groups: Vec::new(),
            ports: Vec::new(),
            frames: FrameStore::new(frames),
            share: frames.div_ceil(2),
            others: Queue::new(OTHERS),
            others_event: None,
            sockets: Vec::new(),
            udp_ports: Vec::new(),
            starved: VecDeque::new(),
            unresolved: VecDeque::new(),
            address_events: Vec::new(),
            counters: Counters::default(),
        }
    }

    /// Queues `frame` with its owner: the event to activate, or the frame, to be dropped.
    #[inline]
    pub(crate) fn receive(&mut self, frame: Frame) -> Result<EventId, Frame> {
        self.counters.frames += 1;
        match packet::classify(&frame, &self.station) {
            Ok(Class::Tcp { key, flags }) => self.segment(frame, &key, flags),
            Ok(Class::Udp { port, broadcast }) => self.datagram(frame, port, broadcast),
            Ok(Class::Arp | Class::Icmp | Class::Dhcp) => self.other(frame),
            Err(bad) => {
                *self.reason(bad) += 1;
                Err(frame)
            }
        }
    }

    fn reason(&mut self, bad: Bad) -> &mut u64 {
        match bad {
            Bad::NotForUs => &mut self.counters.not_for_us,
            Bad::Malformed => &mut self.counters.malformed,
            Bad::Fragment => &mut self.counters.fragments,
            Bad::HeaderChecksum => &mut self.counters.bad_header_checksum,
            Bad::UnknownProtocol => &mut self.counters.unknown_protocol,
            Bad::UnreachableProtocol => &mut self.counters.unreachable_protocol,
        }
    }

    fn refused(&mut self, (frame, full): (Frame, Full)) -> Frame {
        match full {
            Full::Queue => self.counters.queue_full += 1,
            Full::Store => self.counters.frames_exhausted += 1,
        }
        frame
    }

    #[inline]
    fn segment(&mut self, frame: Frame, key: &FlowKey, flags: u8) -> Result<EventId, Frame> {
        let opening = flags & (packet::SYN | packet::ACK | packet::RST) == packet::SYN;
        if let Some(index) = self.flows.find(&self.records, key)
            // The listener decides whether an opening may replace a connection in TIME-WAIT.
            && !(opening && self.records[index as usize].phase == Phase::TimeWait)
        {
            return self.for_record(frame, index);
        }
        if opening && let Some(group) = self.listener(key.local_port) {
            let group = &mut self.groups[group as usize];
            let Some(event) = group.opening_event else { return self.other(frame) };
            return match self.frames.push(&mut group.openings, frame) {
                Ok(()) => {
                    self.counters.openings += 1;
                    Ok(event)
                }
                Err(full) => Err(self.refused(full)),
            };
        }
        self.other(frame)
    }

    #[inline]
    fn for_record(&mut self, frame: Frame, index: u32) -> Result<EventId, Frame> {
        let record = &mut self.records[index as usize];
        let group = &mut self.groups[record.group as usize];
        let Some(events) = record.events else { return Err(frame) };
        if group.queued >= self.share {
            return Err(self.refused((frame, Full::Queue)));
        }
        match self.frames.push(&mut record.queue, frame) {
            Ok(()) => {
                group.queued += 1;
                self.counters.segments += 1;
                Ok(events.segment)
            }
            Err(full) => Err(self.refused(full)),
        }
    }

    /// Queues an opening segment that found a connection after all, behind its other frames.
    pub(crate) fn requeue(&mut self, frame: Frame, index: u32) -> Result<(), Frame> {
        let record = &mut self.records[index as usize];
        match self.frames.push(&mut record.queue, frame) {
            Ok(()) => {
                self.groups[record.group as usize].queued += 1;
                Ok(())
            }
            Err((frame, _)) => Err(frame),
        }
    }

    fn datagram(&mut self, frame: Frame, port: u16, broadcast: bool) -> Result<EventId, Frame> {
        let Some(index) = self.udp_socket(port) else {
            if broadcast {
                // Nobody answers a broadcast to a closed port (RFC 1122, 3.2.2).
                self.counters.not_for_us += 1;
                return Err(frame);
            }
            return self.other(frame);
        };
        let socket = &mut self.sockets[index as usize];
        let Some(event) = socket.receive_event else { return Err(frame) };
        match self.frames.push(&mut socket.queue, frame) {
            Ok(()) => {
                self.counters.datagrams += 1;
                Ok(event)
            }
            Err(full) => Err(self.refused(full)),
        }
    }

    fn other(&mut self, frame: Frame) -> Result<EventId, Frame> {
        let Some(event) = self.others_event else {
            self.counters.queue_full += 1;
            return Err(frame);
        };
        match self.frames.push(&mut self.others, frame) {
            Ok(()) => {
                self.counters.others += 1;
                Ok(event)
            }
            Err(full) => Err(self.refused(full)),
        }
    }

    /// The oldest frame of a record.
    #[inline]
    pub(crate) fn pop(&mut self, index: u32) -> Option<Frame> {
        let record = &mut self.records[index as usize];
        let frame = self.frames.pop(&mut record.queue)?;
        self.groups[record.group as usize].queued -= 1;
        Some(frame)
    }

    pub(crate) fn listener(&self, port: u16) -> Option<u32> {
        let at = self.ports.binary_search_by_key(&port, |(port, _)| *port).ok()?;
        Some(self.ports[at].1)
    }

    pub(crate) fn udp_socket(&self, port: u16) -> Option<u32> {
        let at = self.udp_ports.binary_search_by_key(&port, |(port, _)| *port).ok()?;
        Some(self.udp_ports[at].1)
    }

    /// The next free record of `group` that was made already, or the oldest in TIME-WAIT once
    /// all have been made. It is taken off its list.
    pub(crate) fn take_free(&mut self, group: u32) -> Option<u32> {
        let owner = &mut self.groups[group as usize];
        if let Some(index) = owner.free.front() {
            owner.free.remove(&mut self.records, index);
            return Some(index);
        }
        None
    }

    /// Puts a record back that was taken in vain.
    pub(crate) fn give_back(&mut self, index: u32) {
        let group = self.records[index as usize].group as usize;
        self.groups[group].free.push_front(&mut self.records, index);
    }

    /// Cuts short the oldest TIME-WAIT of `group`, and takes its record.
    pub(crate) fn take_oldest_time_wait(&mut self, group: u32) -> Option<u32> {
        let index = self.groups[group as usize].time_wait.front()?;
        self.records[index as usize].endpoint.as_ref()?;
        self.counters.time_wait_recycled += 1;
        self.release(index);
        self.take_free(group)
    }

    /// Puts a record under `key` into the flow table.
    pub(crate) fn open(&mut self, index: u32, key: FlowKey, phase: Phase) {
        let record = &mut self.records[index as usize];
        record.key = key;
        record.phase = phase;
        if phase == Phase::HalfOpen {
            self.groups[record.group as usize].half_open += 1;
            self.counters.half_open += 1;
        }
        self.flows.insert(&mut self.records, index);
    }

    /// The handshake of a half-open record has come to its end, good or bad.
    pub(crate) fn no_longer_half_open(&mut self, index: u32) {
        self.groups[self.records[index as usize].group as usize].half_open -= 1;
        self.counters.half_open -= 1;
    }

    /// Ends a connection: its record is free for the next, and all handles to it are stale.
    /// The endpoint must be in the record.
    pub(crate) fn release(&mut self, index: u32) {
        while self.pop(index).is_some() {}
        self.flows.remove(&mut self.records, index);
        if self.records[index as usize].phase == Phase::HalfOpen {
            self.no_longer_half_open(index);
        }
        let group = self.records[index as usize].group as usize;
        if self.records[index as usize].listed {
            self.groups[group].time_wait.remove(&mut self.records, index);
        }
        let record = &mut self.records[index as usize];
        record.phase = Phase::Free;
        record.key = FlowKey::default();
        record.next_in_bucket = NONE;
        record.generation = record.generation.wrapping_add(1);
        record.notices = 0;
        record.requests = 0;
        record.error = None;
        record.told = false;
        record.stack_wanted = false;
        record.application_wanted = false;
        record.send_blocked = false;
        record.watch = None;
        if let Some(endpoint) = &mut record.endpoint {
            endpoint.forget();
        }
        // The latest used is the next used: its memory is warm.
        self.groups[group].free.push_front(&mut self.records, index);
    }

    /// Lets `waiter` wait for a transmit buffer, if it does not wait already.
    pub(crate) fn wait_for_buffer(&mut self, waiter: Waiter) {
        if let Some(waiting) = self.waiting(waiter)
            && !core::mem::replace(waiting, true)
        {
            self.starved.push_back(waiter);
        }
    }

    /// Lets `waiter` wait for a neighbour. True when it is the first to.
    pub(crate) fn wait_for_neighbour(&mut self, waiter: Waiter) -> bool {
        let first = self.unresolved.is_empty();
        let Some(waiting) = self.waiting(waiter) else { return false };
        if core::mem::replace(waiting, true) {
            return false;
        }
        self.unresolved.push_back(waiter);
        first
    }

    /// Takes note that `waiter` is off its list: the event that lets it go on.
    pub(crate) fn stop_waiting(&mut self, waiter: Waiter) -> Option<EventId> {
        *self.waiting(waiter)? = false;
        match waiter {
            Waiter::Connection(index) => {
                self.records.get(index as usize)?.events.map(|events| events.segment)
            }
            Waiter::Datagrams(index) => self.sockets.get(index as usize)?.send_event,
        }
    }

    fn waiting(&mut self, waiter: Waiter) -> Option<&mut bool> {
        match waiter {
            Waiter::Connection(index) => Some(&mut self.records.get_mut(index as usize)?.waiting),
            Waiter::Datagrams(index) => Some(&mut self.sockets.get_mut(index as usize)?.waiting),
        }
    }

    /// Makes room for `records` more connections and `sockets` more sockets, so that nothing
    /// is allocated when they come. A cold path.
    pub(crate) fn reserve(&mut self, records: usize, sockets: usize) {
        self.records.reserve(records);
        self.sockets.reserve(sockets);
        let waiters = self.records.capacity() + self.sockets.capacity();
        for list in [&mut self.starved, &mut self.unresolved] {
            list.reserve(waiters.saturating_sub(list.len()));
        }
        self.flows.grow(&mut self.records, Record::in_table);
    }

    /// The record of a live handle.
    #[inline]
    pub(crate) fn live(&mut self, index: u32, generation: u32) -> Option<&mut Record> {
        let record = self.records.get_mut(index as usize)?;
        (record.generation == generation).then_some(record)
    }
}
