//! What ICMP errors do to the connections and sockets that they are about.
//!
//! Anybody can send one. So it is heard only of a packet that can be on its way (RFC 5927, 4.1): of a segment that has been sent and not
//! been acknowledged, or a datagram of a socket that there is. And it ends nothing that works (RFC 5927, 5.2): only a connection
//! that is being opened fails by it at once. One that is established remembers it, for when it is given up.

use crate::ip::header::{TCP, UDP};
use crate::ip::icmp::{Report, report};
use crate::ip::neighbour::Answer;
use crate::ip::time::time;
use crate::path::stack::Stack;
use crate::table::connection_record::Phase;
use crate::table::flow_key::FlowKey;
use crate::table::queue::Full;
use crate::types::unreachable::Unreachable;
use reflex_event::Kernel;
use reflex_hil::Frame;

impl<K: Kernel> Stack<K> {
    /// An ICMP message: an error that tells of a packet of ours, or else something for smoltcp.
    pub(crate) fn icmp(&mut self, frame: Frame) {
        match report(&frame) {
            Some(report) if report.protocol == TCP => self.segment_lost(&report),
            Some(report) if report.protocol == UDP => self.datagram_lost(&report, frame),
            _ => {
                let now = self.net.kernel().now();
                if !self.long_echo(&frame, now) {
                    self.engine.unmatched(&frame, now);
                }
            }
        }
    }

    /// The owner of a socket is told: the message waits with its datagrams.
    fn datagram_lost(&mut self, report: &Report, frame: Frame) {
        let mut frame = Some(frame);
        let event = self.net.with(|shared| {
            let index = shared.udp_ports.get(report.local_port);
            let socket = index.and_then(|index| shared.sockets.get_mut(index as usize));
            let Some(socket) = socket else {
                shared.counters.errors_ignored += 1;
                return None;
            };
            match shared.frames.push(&mut socket.queue, &mut frame) {
                Ok(()) => {
                    shared.counters.errors_heard += 1;
                    socket.receive_event
                }
                Err(full) => {
                    let counters = &mut shared.counters;
                    match full {
                        Full::Queue => counters.queue_full += 1,
                        Full::Store => counters.frames_exhausted += 1,
                    }
                    None
                }
            }
        });
        if let Some(event) = event {
            self.net.activate(event);
        }
    }

    /// A segment did not arrive.
    fn segment_lost(&mut self, report: &Report) {
        let Report { local, local_port, remote, remote_port, .. } = *report;
        let key = FlowKey { local, local_port, remote, remote_port };
        let hash = self.hash.of(&key);
        let taken = self.net.with(|shared| {
            let index = shared.flows.find(&shared.records, &key, hash)?;
            let record = &mut shared.records[index];
            // An application that is at work on it is not waited for: routers say it again.
            Some((index, record.phase, record.endpoint.take()?))
        });
        let Some((index, phase, mut endpoint)) = taken else {
            self.net.with(|shared| shared.counters.errors_ignored += 1);
            return;
        };
        let now = self.net.kernel().now();
        self.engine.catch_up(&mut endpoint, (None, time(now)));
        let credible = endpoint.has_in_flight(report.sequence);
        if !credible {
            self.engine.tally.errors_ignored += 1;
        } else if report.why == Unreachable::TooLong {
            if self.engine.too_long(report, now) {
                let answer = self.engine.connection_hop(&mut endpoint.hop, remote, now);
                if let Answer::Known(mac, _) = answer {
                    self.engine.room = self.engine.transmit.available();
                    self.engine.repeat(&mut endpoint, mac, time(now));
                }
            }
        } else {
            self.engine.tally.errors_heard += 1;
            endpoint.unreachable = Some(report.sequence);
            if report.why.is_hard() && matches!(phase, Phase::Connecting | Phase::HalfOpen) {
                endpoint.socket().abort();
            }
        }
        let event = self.net.with(|shared| {
            shared.records[index].endpoint = Some(endpoint);
            shared.make_ready(index)
        });
        self.settle_accounts();
        if let Some(event) = event {
            self.net.activate(event);
        }
    }
}
