//! A queue pair: its states, and the machines that work in them.

use crate::completer::{Completer, CompleterParts, Outcome};
use crate::requester::{Requester, RequesterParts};
use crate::responder::{self, Responder, ResponderParts, Verdict};
use crate::send_queue::SendQueue;
use crate::settings::Settings;
use crate::{
    Attributes, Completion, Config, Counters, Error, Event, Instant, Kind, Memory, ReceiveQueue,
    ReceiveRequest, Refusal, Report, SendRequest, State, Status, Transition, Transmit,
};
use reflex_rdma_wire::{Packet, PathMtu, Psn, Qpn, Transport};

/// A queue pair.
///
/// Its owner hands it what is posted ([`QueuePair::post_send`], [`QueuePair::post_receive`]), the
/// packets with its number ([`QueuePair::receive`]), and the time ([`QueuePair::expire`], when
/// [`QueuePair::deadline`] has come). After any of them, and whenever buffers become free,
/// [`QueuePair::transmit`] emits what is due, as long as [`QueuePair::is_due`].
#[derive(Debug)]
pub struct QueuePair {
    state: State,
    settings: Settings,
    sends: SendQueue,
    requester: Requester,
    completer: Completer,
    receives: ReceiveQueue,
    is_shared: bool,
    responder: Responder,
    /// Replies go first the next time.
    replies_first: bool,
    is_drained: bool,
    is_established: bool,
    resources: u8,
    mtu: PathMtu,
    counters: Counters,
}

impl QueuePair {
    /// A queue pair in RESET.
    pub fn new(config: &Config) -> Self {
        let Config { transport, number, domain, sends, receives, mtu, .. } = *config;
        let window = config.window.clamp(1, 1 << 16);
        let resources = config.reads.min(64);
        let tells_writes = config.tells_writes;
        let settings =
            Settings { tells_writes, ..Settings::new(number, transport, domain, mtu, window) };
        let first = Psn::default();
        Self {
            state: State::Reset,
            completer: Completer::new(first, &settings),
            settings,
            sends: SendQueue::new(transport, sends, config.send_segments),
            requester: Requester::new(first),
            receives: ReceiveQueue::new(receives.unwrap_or(0), config.receive_segments),
            is_shared: receives.is_none(),
            responder: Responder::new(config.receive_segments.min(1 << 8), resources),
            replies_first: true,
            is_drained: false,
            is_established: false,
            resources,
            mtu,
            counters: Counters::new(),
        }
    }

    /// Its number.
    #[inline]
    pub fn number(&self) -> Qpn {
        self.settings.number
    }

    /// The service it offers.
    pub fn transport(&self) -> Transport {
        self.settings.transport
    }

    /// Where it stands.
    #[inline]
    pub fn state(&self) -> State {
        self.state
    }

    /// What it has counted.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Sends that are posted and not complete.
    pub fn sends_outstanding(&self) -> u32 {
        self.sends.count()
    }

    /// When [`QueuePair::expire`] is to be called. It may change with every call; being called
    /// too early does no harm, so a timer that is set for an earlier time may stay.
    #[inline]
    pub fn deadline(&self) -> Option<Instant> {
        self.completer.deadline()
    }

    /// Whether the time has come at which [`QueuePair::expire`] holds the peer to be silent.
    #[inline]
    pub fn is_overdue(&self, now: Instant) -> bool {
        self.completer.is_overdue(now)
    }

    /// What was emitted last has not left this machine: the peer's silence begins when it has. Instead of
    /// [`QueuePair::expire`], so that no second copy is queued behind the first.
    pub fn postpone(&mut self, now: Instant) {
        self.completer.postpone(&self.settings, now);
    }

    /// Whether [`QueuePair::transmit`] has something to emit.
    #[inline]
    pub fn is_due(&self) -> bool {
        self.responder.is_due() && responder::replies(self.state)
            || self.requester.is_due(
                &self.settings,
                self.state,
                &self.sends,
                self.completer.answers(),
            )
    }

    /// Changes the state, and the attributes. To RESET or ERR, all that is posted is flushed.
    ///
    /// # Errors
    /// [`Error::Transition`], [`Error::AttributeMissing`], [`Error::AttributeRefused`],
    /// [`Error::AttributeValue`].
    pub fn modify<R: Report>(
        &mut self,
        to: State,
        attributes: &Attributes,
        report: &mut R,
    ) -> Result<(), Error> {
        let transport = self.settings.transport;
        let transition = Transition::find(transport, self.state, to).ok_or(Error::Transition)?;
        let given = attributes.mask();
        if !given.contains(transition.required) {
            return Err(Error::AttributeMissing);
        }
        if !transition.required.and(transition.optional).contains(given) {
            return Err(Error::AttributeRefused);
        }
        attributes.check(self.resources)?;
        if attributes.mtu.is_some_and(|mtu| mtu > self.mtu) {
            return Err(Error::AttributeValue);
        }
        self.settings.apply(attributes);
        match (self.state, to) {
            (_, State::Reset | State::Err) => self.abandon_work(to, report),
            (State::Init, State::Rtr) => {
                let first = attributes.receive_psn.unwrap_or_default();
                self.responder.begin(first, self.settings.max_reads_in);
                self.is_established = false;
            }
            (State::Rtr, State::Rts) => {
                let first = attributes.send_psn.unwrap_or_default();
                self.requester = Requester::new(first);
                self.completer = Completer::new(first, &self.settings);
            }
            _ => {}
        }
        self.state = to;
        self.is_drained = false;
        self.look_for_drained(report);
        Ok(())
    }

    fn abandon_work<R: Report>(&mut self, to: State, report: &mut R) {
        self.responder.abandon();
        self.flush_sends(report);
        self.flush_receives(report);
        if to == State::Err && self.state != State::Err {
            self.last_receive(report);
        }
        if to == State::Reset {
            let Settings { number, transport, domain, window, tells_writes, .. } = self.settings;
            let settings = Settings::new(number, transport, domain, self.mtu, window);
            self.settings = Settings { tells_writes, ..settings };
        }
    }

    /// Appends a send. In ERR and SQE it is complete at once, flushed.
    ///
    /// # Errors
    /// [`Error`]: [`Error::State`] before RTS, and those of the request itself.
    #[inline]
    pub fn post_send<R: Report>(
        &mut self,
        request: &SendRequest<'_>,
        report: &mut R,
    ) -> Result<(), Error> {
        if self.state < State::Rts {
            return Err(Error::State);
        }
        self.sends.post(self.settings.transport, self.settings.mtu, request)?;
        if !self.state.sends() {
            self.flush_sends(report);
        }
        Ok(())
    }

    /// Appends a receive. In ERR it is complete at once, flushed.
    ///
    /// # Errors
    /// [`Error`]: [`Error::State`] in RESET, [`Error::SharedReceives`], and those of the request.
    #[inline]
    pub fn post_receive<R: Report>(
        &mut self,
        request: &ReceiveRequest<'_>,
        report: &mut R,
    ) -> Result<(), Error> {
        if self.is_shared {
            return Err(Error::SharedReceives);
        }
        if self.state == State::Reset {
            return Err(Error::State);
        }
        self.receives.post(request)?;
        if self.state == State::Err {
            self.flush_receives(report);
        }
        Ok(())
    }

    /// Takes a packet. `shared` is the queue that receives come from when the queue pair has none
    /// of its own.
    #[inline]
    pub fn receive<M: Memory, R: Report>(
        &mut self,
        packet: &Packet<'_>,
        now: Instant,
        memory: &mut M,
        shared: Option<&mut ReceiveQueue>,
        report: &mut R,
    ) {
        if let Err(refusal) = self.check(packet) {
            self.counters.count(refusal);
            return;
        }
        let Self { settings, sends, requester, completer, responder, counters, .. } = self;
        if packet.bth().opcode.is_response() {
            let parts = CompleterParts { settings, queue: sends, requester, counters };
            let outcome = completer.receive(packet, now, parts, memory, report);
            self.conclude(outcome, report);
            return;
        }
        if !self.is_established && self.state == State::Rtr {
            self.is_established = true;
            report.raise(Event::CommunicationEstablished);
        }
        let receives = match shared {
            Some(shared) if self.is_shared => shared,
            _ => &mut self.receives,
        };
        let parts = ResponderParts { settings, receives, counters };
        let verdict = match settings.transport {
            Transport::Reliable => responder.receive(packet, parts, memory, report),
            Transport::Unreliable => responder.receive_unreliable(packet, parts, memory, report),
            Transport::Datagram => responder.receive_datagram(packet, parts, memory, report),
        };
        if let Verdict::Fail(event) = verdict {
            self.fail(event, report);
        }
    }

    /// Whether the packet is one of this queue pair's at all.
    #[inline]
    fn check(&self, packet: &Packet<'_>) -> Result<(), Refusal> {
        let bth = packet.bth();
        let settings = &self.settings;
        if bth.destination != settings.number {
            return Err(Refusal::QueuePair);
        }
        if bth.opcode.transport() != settings.transport {
            return Err(Refusal::Transport);
        }
        let takes = if bth.opcode.is_response() { State::sends } else { State::receives };
        if !takes(self.state) {
            return Err(Refusal::State);
        }
        if !bth.partition.matches(settings.partition) {
            return Err(Refusal::Partition);
        }
        if settings.transport != Transport::Datagram {
            let datagram = packet.datagram();
            let (peer, own) = (settings.envelope.destination, settings.envelope.source);
            if datagram.source() != peer || datagram.destination() != own {
                return Err(Refusal::Address);
            }
        }
        Ok(())
    }

    /// Emits what is due, at most `budget` packets: as many as there are buffers. Returns how
    /// many it was.
    #[inline]
    pub fn transmit<T: Transmit, R: Report>(
        &mut self,
        now: Instant,
        budget: u32,
        port: &mut T,
        report: &mut R,
    ) -> u32 {
        let mut left = budget;
        // By turns, so that neither starves the other when buffers are scarce.
        let both = self.responder.is_due();
        if both && !self.replies_first {
            left -= self.request(now, left, port, report);
        }
        if both && responder::replies(self.state) {
            while let Verdict::Fail(event) = self.reply(&mut left, port) {
                // And then the reply that says so.
                self.fail(event, report);
            }
        }
        if !both || self.replies_first {
            left -= self.request(now, left, port, report);
        }
        if both && left == 0 {
            self.replies_first = !self.replies_first;
        }
        budget - left
    }

    #[inline]
    fn reply<T: Transmit>(&mut self, left: &mut u32, port: &mut T) -> Verdict {
        let Self { settings, state, responder, counters, .. } = self;
        responder.transmit(settings, *state, left, port, counters)
    }

    #[inline]
    fn request<T: Transmit, R: Report>(
        &mut self,
        now: Instant,
        budget: u32,
        port: &mut T,
        report: &mut R,
    ) -> u32 {
        let Self { settings, state, sends, requester, completer, .. } = self;
        let parts =
            RequesterParts { settings, state: *state, queue: sends, answers: completer.answers() };
        let count = requester.transmit(parts, budget, port, report);
        if count != 0 {
            completer.emitted(settings, requester, now);
        }
        if self.requester.stalled.is_some() {
            let Self { settings, sends, requester, completer, counters, .. } = self;
            let parts = CompleterParts { settings, queue: sends, requester, counters };
            let outcome = completer.stalled(&parts);
            self.conclude(outcome, report);
        }
        self.look_for_drained(report);
        count
    }

    /// Time has passed: `now` is [`QueuePair::deadline`] or later. Earlier does no harm.
    pub fn expire<R: Report>(&mut self, now: Instant, report: &mut R) {
        let Self { settings, sends, requester, completer, counters, .. } = self;
        let mut parts = CompleterParts { settings, queue: sends, requester, counters };
        let outcome = completer.expire(now, &mut parts);
        self.conclude(outcome, report);
    }

    /// What the completer found is carried out.
    #[inline]
    fn conclude<R: Report>(&mut self, outcome: Outcome, report: &mut R) {
        match outcome {
            Outcome::Continue => self.look_for_drained(report),
            Outcome::Fail { status, vendor } => self.fail_sends(status, vendor, report),
        }
    }

    #[inline]
    fn look_for_drained<R: Report>(&mut self, report: &mut R) {
        if self.state == State::Sqd && !self.is_drained && self.sends.head == self.sends.assigned {
            self.is_drained = true;
            report.raise(Event::SendQueueDrained);
        }
    }

    /// The oldest send ends so; those behind it are flushed.
    #[cold]
    fn fail_sends<R: Report>(&mut self, status: Status, vendor: u8, report: &mut R) {
        if !self.sends.is_empty() {
            self.sends.finish(self.settings.number, report, status, vendor);
        }
        self.flush_sends(report);
        if self.settings.transport == Transport::Reliable {
            self.responder.abandon();
            self.state = State::Err;
            self.flush_receives(report);
            self.last_receive(report);
        } else {
            self.state = State::Sqe;
        }
    }

    /// The receiving side failed; what is due of the replies says so.
    #[cold]
    fn fail<R: Report>(&mut self, event: Event, report: &mut R) {
        self.state = State::Err;
        self.flush_sends(report);
        self.flush_receives(report);
        report.raise(event);
        self.last_receive(report);
    }

    fn flush_sends<R: Report>(&mut self, report: &mut R) {
        while !self.sends.is_empty() {
            self.sends.finish(self.settings.number, report, Status::Flushed, 0);
        }
        self.sends.clear();
        // Nothing is outstanding any more: no answer is known, no time is waited for.
        self.requester.flush();
        self.completer = Completer::new(self.requester.sent, &self.settings);
    }

    fn flush_receives<R: Report>(&mut self, report: &mut R) {
        self.responder.flush(&self.settings, report);
        while let Some(id) = self.receives.pop() {
            let (number, kind) = (self.settings.number, Kind::Receive);
            report.complete(Completion::new(id, number, kind, Status::Flushed));
        }
    }

    /// All is flushed: nothing is taken from a shared queue any more.
    fn last_receive<R: Report>(&self, report: &mut R) {
        if self.is_shared {
            report.raise(Event::LastReceiveReached);
        }
    }
}
