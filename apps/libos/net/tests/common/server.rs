//! One server, and what is fed to it segment by segment.

use crate::common::raw::{ACK, RST, SYN, Segment, introduce, segments};
use crate::common::{Host, Noting};
use reflex_event::{Context, Instant};
use reflex_net::ListenBuilder;
use reflex_testkit::{Clock, SimKernel, Trace};
use std::time::Duration;

pub const PORT: u16 = 80;

/// A machine with a service on [`PORT`], and a peer made of hand-made segments.
pub struct Server {
    pub clock: Clock,
    pub host: Host,
    pub trace: Trace,
    pub service: Context<Noting>,
}

impl Server {
    /// With four places, and the usual settings.
    pub fn new(change: impl FnOnce(&mut Noting)) -> Self {
        Self::with(change, |listening| listening.connections(4))
    }

    pub fn with(
        change: impl FnOnce(&mut Noting),
        settings: impl FnOnce(ListenBuilder<SimKernel>) -> ListenBuilder<SimKernel>,
    ) -> Self {
        let clock = Clock::default();
        clock.set(Instant::from_nanos(1_000_000_000));
        let host = Host::new(&clock, 1, 7);
        let trace = Trace::default();
        let mut service = Noting::new("s", &trace);
        change(&mut service);
        let service = host.kernel.context(service, 4 << 20);
        settings(host.net.listen(PORT)).serve(service).unwrap();
        host.exchange(&clock, &introduce(host.address));
        Self { clock, host, trace, service }
    }

    /// Feeds a segment and collects the answers.
    pub fn feed(&self, segment: &Segment) -> Vec<Segment> {
        let frame = segment.frame(self.host.mac, self.host.address);
        segments(&self.host.exchange(&self.clock, &frame))
    }

    /// What is sent while time passes.
    pub fn pass(&self, time: Duration) -> Vec<Segment> {
        segments(&self.host.pass(&self.clock, time))
    }

    /// Opens a connection from `port`; its first byte is number 1001. Returns what to acknowledge.
    pub fn open(&self, port: u16) -> u32 {
        let answer = self.feed(&Segment::new(port, PORT, SYN, 1000, 0));
        assert_eq!(answer.len(), 1, "{answer:?}");
        assert_eq!((answer[0].flags, answer[0].acknowledgement), (SYN | ACK, 1001));
        let ack = answer[0].sequence.wrapping_add(1);
        let answer = self.feed(&Segment::new(port, PORT, ACK, 1001, ack));
        assert!(answer.iter().all(|segment| segment.flags & RST == 0));
        ack
    }

    /// Looks at the service.
    pub fn state<R>(&self, look: impl FnOnce(&mut Noting) -> R) -> R {
        self.host.kernel.state(self.service, look)
    }
}
