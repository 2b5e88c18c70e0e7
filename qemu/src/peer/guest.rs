//! How a peer is booted: what it does, and its kernel's arguments.

use std::fmt::{self, Display};

use super::{Flavour, Peer};
use crate::machine::{Machine, Model};

/// Arguments that make this Linux fast under emulation, in steady state and at start: the time
/// stamp counter as clock, no mitigations, no audit, no memory accounting, no clearing of
/// allocated memory, no watchdogs, no probing for absent hardware, nor of the timer, which comes too late for that
/// where the host is busy.
pub(crate) const TUNING: &str = "quiet mitigations=off tsc=reliable clocksource=tsc \
    init_on_alloc=0 audit=0 apparmor=0 cgroup_disable=memory nowatchdog nokaslr \
    random.trust_cpu=on rcupdate.rcu_expedited=1 i8042.noaux i8042.nokbd 8250.nr_uarts=1 \
    no_timer_check";

/// What a peer does once it is up. It then says so as our own guests do (`#! listen tcp PORT`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Serve {
    /// nginx on port 80.
    Nginx,
    /// The epoll echo server on TCP port 7.
    Echo,
    /// redis on port 6379.
    Redis,
    /// The program that measures Linux's event costs, then the end.
    Events,
    /// The one that measures its latency while the host floods UDP port 9, then the end.
    Flood,
}

/// One boot of the peer.
#[derive(Clone, Copy, Debug)]
pub struct Guest {
    /// What it does.
    pub serve: Serve,
    /// The machine it boots on.
    pub model: Model,
    /// Seconds after which it turns itself off, should nobody end it before.
    pub timeout: u32,
    /// Whether it reports the processor's busy time once a second, as `#! figure busy`.
    pub report_busy: bool,
}

impl Guest {
    /// The machine that boots it: a network, memory and the like are still to be set. A tap
    /// gives it its address as it gives our own guests theirs.
    pub fn machine(&self, peer: &Peer) -> Machine {
        Machine::new(peer.kernel())
            .model(self.model)
            .append(self.to_string())
            .extra(["-initrd".into(), peer.initrd(Flavour::Server).into_os_string()])
    }
}

/// The kernel's command line.
impl Display for Guest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let serve = match self.serve {
            Serve::Nginx => "nginx",
            Serve::Echo => "echo",
            Serve::Redis => "redis",
            Serve::Events => "events",
            Serve::Flood => "flood",
        };
        write!(f, "console=ttyS0 reboot=t panic=-1 {TUNING} peer.run={serve}")?;
        if self.serve != Serve::Events {
            write!(f, " peer.modules={}", modules(self.model))?;
        }
        if self.report_busy {
            write!(f, " peer.busy=1")?;
        }
        write!(f, " peer.timeout={}", self.timeout)
    }
}

/// The group of modules for this machine's network card.
pub(super) fn modules(model: Model) -> &'static str {
    match model {
        Model::Q35 | Model::Pc => "pci",
        Model::Microvm => "mmio",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_says_what_was_asked() {
        let mut guest =
            Guest { serve: Serve::Echo, model: Model::Microvm, timeout: 60, report_busy: false };
        let line = guest.to_string();
        assert!(line.ends_with(" peer.run=echo peer.modules=mmio peer.timeout=60"), "{line}");
        guest.report_busy = true;
        guest.serve = Serve::Events;
        let line = guest.to_string();
        assert!(line.ends_with(" peer.run=events peer.busy=1 peer.timeout=60"), "{line}");
        guest.serve = Serve::Flood;
        assert!(guest.to_string().contains(" peer.run=flood peer.modules=mmio "));
    }
}
