//! The tables that the stack and the applications share.
//!
//! All of it lies behind one dispatch ceiling and is only touched in short sections: none takes time
//! in proportion to anything.

use crate::ip::tcp::limits::Patience;
use crate::table::connection_record::{Ending, Events, Phase, Record};
use crate::table::control::{Control, KINDS};
use crate::table::flow::FlowTable;
use crate::table::flow_key::FlowKey;
use crate::table::held::Held;
use crate::table::index::{Directory, NONE};
use crate::table::lost_buffers::LostBuffers;
use crate::table::port::PortTable;
use crate::table::priorities::Priorities;
use crate::table::queue::{FrameStore, Queue};
use crate::table::ready_list::ReadyList;
use crate::table::records::{List, Records};
use crate::table::socket_record::UdpRecord;
use crate::table::wait_list::WaitList;
use crate::table::waiter::Wait;
use crate::types::counters::{Counters, Refusals};
use crate::types::settings::{InterfaceAddress, TcpSettings};
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use reflex_event::{EventId, Instant, Owner, Priority};
use reflex_hil::{AttachedProtocol, Frame};
use reflex_memory::Pool;

/// Registers the handler of one record with the application's context: at a priority, for the record of an index,
/// and which it is of its owner's.
pub(crate) type Register =
    dyn Fn(Priority, u32, u32) -> Result<EventId, reflex_event::Error> + Send + Sync;

/// All connections of one listener, or all that one context opens.
pub(crate) struct Group {
    /// The context that serves them, and in which of its lives.
    pub(crate) owner: Owner,
    /// Counts those lives here: records of an earlier one are to be registered anew.
    pub(crate) life: u64,
    /// The owner has been given up.
    pub(crate) orphaned: bool,
    /// Of a listener.
    pub(crate) port: Option<u16>,
    /// Not after the listener was closed.
    pub(crate) listening: bool,
    pub(crate) settings: TcpSettings,
    /// Of the settings.
    pub(crate) patience: Patience,
    pub(crate) register: Arc<Register>,
    pub(crate) pool: &'static Pool,
    /// Opening segments.
    pub(crate) openings: Queue,
    pub(crate) opening_event: Option<EventId>,
    /// Runs those in the list.
    pub(crate) run_event: Option<EventId>,
    pub(crate) ready: ReadyList,
    /// Of these there is something to tell, if one activation may [tell](TcpSettings::together) of several. The first
    /// one's event has been activated.
    pub(crate) telling: ReadyList,
    pub(crate) free: List,
    pub(crate) time_wait: List,
    /// A record that could be made only half-way, to be tried again.
    pub(crate) unbuilt: Option<u32>,
    /// Records made so far.
    pub(crate) made: u32,
    pub(crate) half_open: u32,
    /// Connections of earlier lives that were reset when these ended.
    pub(crate) cut_off: u32,
    /// Openings that found no place.
    pub(crate) refusals: Refusals,
    /// Its owner has been told of such, and none has found a place since.
    pub(crate) refusing: bool,
    /// Openings have been answered by cookies: until then their acknowledgements may come.
    pub(crate) cookies_until: Option<Instant>,
    /// Frames queued.
    pub(crate) queued: u32,
}

impl Group {
    /// One without connections, that does not listen yet.
    pub(crate) fn new(
        owner: Owner,
        port: Option<u16>,
        settings: TcpSettings,
        register: Arc<Register>,
        pool: &'static Pool,
    ) -> Self {
        Self {
            owner,
            life: 0,
            orphaned: false,
            port,
            listening: false,
            settings,
            patience: Patience::of(&settings),
            register,
            pool,
            openings: Queue::new(settings.backlog.clamp(16, 1024) as u16),
            opening_event: None,
            run_event: None,
            ready: ReadyList::EMPTY,
            telling: ReadyList::EMPTY,
            free: List::EMPTY,
            time_wait: List::EMPTY,
            unbuilt: None,
            made: 0,
            half_open: 0,
            cut_off: 0,
            refusals: Refusals::default(),
            refusing: false,
            cookies_until: None,
            queued: 0,
        }
    }

    /// How many may be half open: a quarter of the places is for peers that have proved to be there.
    pub(crate) fn half_open_limit(&self) -> u32 {
        let places = self.settings.connections;
        self.settings.backlog.min(places - places / 4)
    }

    /// Whether it is that owner's: a handle of an earlier life is none of a later one's, even when the
    /// group has been taken over.
    pub(crate) fn is_of(&self, owner: Owner) -> bool {
        self.owner == owner && !self.orphaned
    }
}

pub(crate) struct Shared {
    /// Longest IPv4 packet.
    pub(crate) mtu: usize,
    pub(crate) address: Option<InterfaceAddress>,
    pub(crate) flows: FlowTable,
    /// Connections that the flow table has to have room for.
    pub(crate) places: usize,
    pub(crate) records: Records,
    pub(crate) groups: Directory<Group>,
    /// Listening TCP ports and their groups.
    pub(crate) ports: PortTable,
    pub(crate) frames: FrameStore,
    /// Frames that applications hold.
    pub(crate) held: Held,
    /// Frames of connections that are over, to be [dropped](Net::drop_dead) outside of sections.
    pub(crate) dead: Queue,
    /// Most frames one group or socket may have queued.
    pub(crate) share: u32,
    /// Where packets are put together that come in fragments.
    pub(crate) fragments: Option<&'static Pool>,
    /// Buffers of frames that do not come back.
    pub(crate) lost_buffers: LostBuffers,
    /// Frames that keep the link and the address, and all others that are no connection's and no socket's.
    pub(crate) control: Control,
    pub(crate) unmatched: Queue,
    /// Which of these was served last.
    pub(crate) turn: usize,
    pub(crate) unmatched_event: Option<EventId>,
    pub(crate) sockets: Directory<UdpRecord>,
    /// Bound UDP ports and their sockets.
    pub(crate) udp_ports: PortTable,
    /// Waiting for a transmit buffer.
    pub(crate) starved: WaitList,
    /// Waiting for a neighbour.
    pub(crate) unresolved: WaitList,
    /// The UDP port of the protocol beside the stack, the protocol until the stack has taken it
    /// over, what has it go on, and its places in the lists of those that wait.
    pub(crate) attached_port: Option<u16>,
    pub(crate) arriving: Option<Box<dyn AttachedProtocol>>,
    pub(crate) attached_ready: Option<EventId>,
    pub(crate) attached_waits: [Wait; 2],
    /// The stack's own priority, those of the groups and sockets, and those that connections have of
    /// their own.
    pub(crate) priorities: Priorities,
    /// The priority at which frames are received: the highest of these.
    pub(crate) receiving_at: Priority,
    /// Told of every change of the address.
    pub(crate) address_events: Vec<EventId>,
    /// Connections with something that the application has not heard yet.
    pub(crate) untold: u32,
    pub(crate) counters: Counters,
    /// What the DHCP client has counted, if there is one.
    pub(crate) dhcp_counters: Option<reflex_dhcp::Counters>,
    /// What the DHCP server has said of the network, while there is a lease.
    pub(crate) parameters: Option<reflex_dhcp::Parameters>,
}

/// Most frames that wait for the handler of everything without a connection.
const UNMATCHED: u16 = 64;

impl Shared {
    pub(crate) fn new(mtu: usize, frames: u32, fragments: Option<&'static Pool>) -> Self {
        let control = Control::new(frames);
        Self {
            mtu,
            address: None,
            flows: FlowTable::new(),
            places: 0,
            records: Records::new(),
            groups: Vec::new(),
            ports: PortTable::new(),
            frames: FrameStore::new(frames.saturating_sub(control.capacity())),
            held: Held::new(frames),
            dead: Queue::new(u16::MAX),
            share: frames.div_ceil(2),
            fragments,
            lost_buffers: LostBuffers::default(),
            control,
            unmatched: Queue::new(UNMATCHED),
            turn: 0,
            unmatched_event: None,
            sockets: Vec::new(),
            udp_ports: PortTable::new(),
            starved: WaitList::EMPTY,
            unresolved: WaitList::EMPTY,
            attached_port: None,
            arriving: None,
            attached_ready: None,
            attached_waits: [Wait::default(); 2],
            priorities: Priorities::NONE,
            receiving_at: Priority::default(),
            address_events: Vec::new(),
            untold: 0,
            counters: Counters::default(),
            dhcp_counters: None,
            parameters: None,
        }
    }

    /// The next frame that is no connection's and no socket's: of each kind in turn, so that a flood of one leaves
    /// time for the others.
    pub(crate) fn next_unmatched(&mut self) -> Option<Frame> {
        for _ in 0..=KINDS {
            self.turn = (self.turn + 1) % (KINDS + 1);
            let frame = match self.turn {
                KINDS => self.frames.pop(&mut self.unmatched),
                kind => self.control.pop(kind),
            };
            if frame.is_some() {
                return frame;
            }
        }
        None
    }

    /// Queues an opening segment that found a connection after all, behind its other frames. False
    /// when there is no room.
    pub(crate) fn requeue(&mut self, frame: &mut Option<Frame>, index: u32) -> bool {
        let record = &mut self.records[index];
        let queued = self.frames.push(&mut record.queue, frame).is_ok();
        self.groups[record.group as usize].queued += u32::from(queued);
        queued
    }

    /// The oldest frame of a record.
    #[inline]
    pub(crate) fn pop(&mut self, index: u32) -> Option<Frame> {
        let record = &mut self.records[index];
        let frame = self.frames.pop(&mut record.queue)?;
        self.groups[record.group as usize].queued -= 1;
        Some(frame)
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

    /// Puts a record back that was taken in vain, or has no connection any more.
    pub(crate) fn give_back(&mut self, index: u32) {
        let Self { records, groups, .. } = self;
        let record = &records[index];
        let free = &mut groups[record.group as usize].free;
        if record.endpoint.as_ref().is_some_and(|endpoint| endpoint.retired) {
            // It needs another endpoint first.
            free.push_back(records, index);
        } else {
            // The latest used is the next used: its memory is warm.
            free.push_front(records, index);
        }
    }

    /// Cuts short the oldest TIME-WAIT of `group`: its record is free. False when there is none.
    pub(crate) fn cut_short(&mut self, group: u32) -> bool {
        let oldest = self.groups[group as usize].time_wait.front();
        let Some(index) = oldest.filter(|index| self.records[*index].endpoint.is_some()) else {
            return false;
        };
        self.counters.time_wait_recycled += 1;
        self.release(index);
        true
    }

    /// Puts a record under `key`, of that `hash`, into the flow table.
    pub(crate) fn open(&mut self, index: u32, key: FlowKey, hash: u32, phase: Phase) {
        let record = &mut self.records[index];
        record.key = key;
        record.hash = hash;
        record.phase = phase;
        if phase == Phase::HalfOpen {
            self.groups[record.group as usize].half_open += 1;
            self.counters.half_open += 1;
        }
        self.flows.insert(&mut self.records, index);
    }

    /// The handshake of a half-open record has come to its end, good or bad.
    pub(crate) fn no_longer_half_open(&mut self, index: u32) {
        self.groups[self.records[index].group as usize].half_open -= 1;
        self.counters.half_open -= 1;
    }

    /// Ends a connection: its record is free for the next, and all handles to it are stale.
    /// The endpoint must be in the record. The frames it had are [dead](Self::dead).
    pub(crate) fn release(&mut self, index: u32) {
        let Self { records, groups, flows, frames, dead, counters, .. } = self;
        flows.remove(records, index);
        let record = &mut records[index];
        let group = &mut *groups[record.group as usize];
        if !record.queue.is_empty() {
            group.queued -= u32::from(record.queue.len());
            frames.append(dead, &mut record.queue);
        }
        if record.phase == Phase::HalfOpen {
            group.half_open -= 1;
            counters.half_open -= 1;
        }
        if record.notices != 0 {
            self.untold = self.untold.saturating_sub(1);
        }
        record.phase = Phase::Free;
        record.key = FlowKey::default();
        record.next_in_bucket = NONE;
        record.generation += 1;
        record.notices = 0;
        record.requests = 0;
        record.error = None;
        record.told = false;
        record.stack_wanted = false;
        record.application_wanted = false;
        record.send_blocked = false;
        record.held = false;
        record.withheld = 0;
        record.ending = Ending::Open;
        if let Some(queue) = &mut record.outgoing {
            queue.clear();
        }
        record.watch = None;
        if let Some(endpoint) = &mut record.endpoint {
            endpoint.forget();
        }
        if record.listed {
            group.time_wait.remove(records, index);
        }
        self.give_back(index);
    }

    /// Gives a connection a priority of its own, or its group's again: the events to change the priority of so,
    /// before which [`Net::follow_priorities`] is to be called.
    pub(crate) fn prioritise(&mut self, index: u32, priority: Priority) -> Option<Events> {
        let record = &mut self.records[index];
        let usual = self.groups[record.group as usize].settings.priority;
        if record.priority != usual {
            self.priorities.remove(record.priority);
        }
        if priority != usual {
            self.priorities.add(priority);
        }
        record.priority = priority;
        record.events
    }

    /// The record of a live handle.
    #[inline]
    pub(crate) fn live(&mut self, index: u32, generation: u64) -> Option<&mut Record> {
        let record = self.records.get_mut(index)?;
        (record.generation == generation).then_some(record)
    }
}
