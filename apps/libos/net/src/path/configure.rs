//! The interface's address on the link: made known, watched, and given up when another station has it.

use crate::ip::conflict::Origin;
use crate::path::stack::Stack;
use crate::types::conflict::{ConflictDetection, ConflictOutcome};
use core::net::IpAddr;
use reflex_event::Kernel;

impl<K: Kernel> Stack<K> {
    /// Tells the link a new address, and begins to watch for others that have it.
    pub(crate) fn make_known(&mut self) {
        let now = self.net.kernel().now();
        let origin = if self.dhcp.is_some() { Origin::Leased } else { Origin::Configured };
        match self.conflict_detection {
            ConflictDetection::On if self.engine.address.is_some() => {
                self.engine.watch(origin, now);
                self.run_watch();
            }
            ConflictDetection::On => {}
            ConflictDetection::Off => self.engine.announce(),
        }
        self.engine.find_router(now);
    }

    /// Does what the watch over our addresses is due to do.
    pub(crate) fn run_watch(&mut self) {
        if self.conflict_detection == ConflictDetection::Off {
            return;
        }
        let now = self.net.kernel().now();
        if !self.engine.watch.watches6() {
            self.engine.watch6(now);
        }
        let mut lot = [0; 4];
        self.net.kernel().random(&mut lot);
        if let Some(address) = self.engine.watch_expired(now, u32::from_ne_bytes(lot)) {
            self.set_address(Some(address));
        }
    }

    /// Tells of a station that has an address of ours, if one was noticed, and gives the address up if
    /// that is due.
    pub(crate) fn look_for_conflict(&mut self) {
        let Some(conflict) = self.engine.watch.take() else { return };
        if conflict.outcome == ConflictOutcome::Withdrawn {
            match conflict.address {
                // One of a lease is declined, and lost by that (RFC 2131, 4.4.4).
                IpAddr::V4(address) if self.dhcp.is_some() => self.dhcp_conflict(address),
                IpAddr::V4(_) => self.set_address(None),
                IpAddr::V6(_) => self.attached_addresses_changed(),
            }
        }
        if let Some(tell) = self.conflict {
            tell(conflict);
        }
        self.arm_tick(self.net.kernel().now());
    }
}
