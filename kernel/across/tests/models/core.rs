//! A core as the runtime makes one of these parts: it works, sleeps, and is interrupted.

use crate::Doorbell;
use crate::bell::Senders;
use loom::sync::Notify;
use reflex_event::Priority;

/// A core that others ring at. An interrupt that comes while it works is pending.
pub(crate) struct Core {
    pub(crate) bell: Doorbell,
    interrupt: Notify,
}

impl Core {
    pub(crate) fn new() -> Self {
        Self { bell: Doorbell::default(), interrupt: Notify::new() }
    }

    /// Interrupts the core, if that is due.
    pub(crate) fn interrupt(&self, due: bool) {
        if due {
            self.interrupt.notify();
        }
    }

    /// Sleeps until somebody has rung. A wake-up that is lost leaves all asleep, which loom notices.
    pub(crate) fn wait(&self) -> Senders {
        loop {
            let senders = self.bell.sleep();
            if !senders.is_empty() {
                return senders;
            }
            self.interrupt.wait();
            let senders = self.bell.run(Priority::LOWEST);
            if !senders.is_empty() {
                return senders;
            }
        }
    }
}
