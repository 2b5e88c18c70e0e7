//! What the DHCP client does and is told: its frames, its time, and the actions that come of these.
//!
//! A lease is not given back when the machine is switched off: it is mostly the same host that starts
//! next, and then has its address again (RFC 2131, 4.4.6, leaves the choice).

use crate::ip::dhcp::leased;
use crate::ip::header::ETHERNET;
use crate::ip::neighbour::Answer;
use crate::ip::routes::Routes;
use crate::path::stack::Stack;
use core::net::Ipv4Addr;
use reflex_dhcp::{
    Action, Actions, BROADCAST_MAC, Client, Kind, LONGEST_FRAME, Parameters, Random, Request,
    Standing, UdpChecksum,
};
use reflex_event::{Instant, Kernel};
use reflex_hil::Frame;

impl<K: Kernel> Stack<K> {
    /// A frame that may be of a server's. Interfaces hand over no packets without checksums.
    pub(crate) fn dhcp_frame(&mut self, frame: &Frame) {
        self.dhcp_call(|client, now, random| client.frame(frame, UdpChecksum::Verify, now, random));
    }

    /// Does what is due.
    pub(crate) fn dhcp_expired(&mut self) {
        let now = self.net.kernel().now();
        match &self.dhcp {
            Some(dhcp) if dhcp.due().is_some_and(|due| due <= now) => {}
            _ => return,
        }
        self.dhcp_call(|client, now, random| match client.standing() {
            // Images have no memory of the address they had before.
            Standing::Off => client.start(None, now, random),
            _ => client.expired(now, random),
        });
    }

    /// Somebody else has the address.
    pub(crate) fn dhcp_conflict(&mut self, address: Ipv4Addr) {
        self.dhcp_call(|client, now, random| client.conflict(address, now, random));
    }

    /// Sends the message that waits, if it still has to.
    pub(crate) fn dhcp_send_waiting(&mut self) {
        if let Some(request) = self.dhcp.as_mut().and_then(|dhcp| dhcp.waiting.take()) {
            self.dhcp_send(request);
        }
    }

    fn dhcp_call(&mut self, call: impl FnOnce(&mut Client, Instant, &mut Random<'_>) -> Actions) {
        let kernel = self.net.kernel().clone();
        let Some(dhcp) = &mut self.dhcp else { return };
        let random = &mut || {
            let mut bytes = [0; 4];
            kernel.random(&mut bytes);
            u32::from_ne_bytes(bytes)
        };
        let actions = call(&mut dhcp.client, kernel.now(), random);
        let counters = *dhcp.client.counters();
        self.net.with(|shared| shared.dhcp_counters = Some(counters));
        for action in actions {
            self.dhcp_act(action);
        }
        self.arm_tick(kernel.now());
    }

    fn dhcp_act(&mut self, action: Action) {
        match action {
            Action::Send(request) => self.dhcp_send(request),
            Action::Granted | Action::Changed => self.follow_lease(),
            Action::Lost(_) => {
                if let Some(dhcp) = &mut self.dhcp {
                    // A lease that is over is not prolonged; that it was declined still counts.
                    dhcp.waiting.take_if(|request| request.kind == Kind::Request);
                }
                self.follow_parameters(None);
                self.engine.watch.forget();
                self.set_address(None);
            }
            // The lease says what it said. A client that takes the server's word asks for no probe,
            // and one that was started is not informed.
            Action::Renewed | Action::Probe(_) | Action::Informed | Action::NotInformed => {}
        }
    }

    /// Has the interface's address and routes be those of the lease.
    fn follow_lease(&mut self) {
        let Some(lease) = self.dhcp.as_ref().and_then(|dhcp| dhcp.client.lease()) else { return };
        let (own, parameters) = (leased(lease), *lease.parameters());
        self.follow_parameters(Some(parameters));
        self.set_network(Some(own), Routes::leased(&own, &parameters));
    }

    /// Tells applications what is known of the network, and sends no longer packets than it carries.
    fn follow_parameters(&mut self, parameters: Option<Parameters>) {
        let now = self.net.kernel().now();
        let mut seed = [0; 8];
        self.net.kernel().random(&mut seed);
        let most = parameters.and_then(|said| said.mtu);
        self.engine.set_mtu(most, u64::from_ne_bytes(seed), now);
        let mtu = self.engine.mtu;
        self.net.with(|shared| (shared.parameters, shared.mtu) = (parameters, mtu));
    }

    /// Sends a message at once, or when its next hop is known and a transmit buffer free.
    fn dhcp_send(&mut self, request: Request) {
        let now = self.net.kernel().now();
        let next_hop = match request.destination.is_broadcast() {
            true => Some(BROADCAST_MAC),
            false => match self.engine.hop(request.destination.into(), now) {
                Answer::Known(mac, _) => Some(mac),
                Answer::Pending => None,
                Answer::Gone => {
                    self.engine.tally.unreachable += 1;
                    return;
                }
            },
        };
        let sent = next_hop.is_some_and(|next_hop| self.dhcp_put(&request, next_hop));
        if !sent && let Some(dhcp) = &mut self.dhcp {
            dhcp.waiting = Some(request);
            self.retry_later();
        }
    }

    /// False when no transmit buffer is free.
    fn dhcp_put(&mut self, request: &Request, next_hop: [u8; 6]) -> bool {
        let Some(dhcp) = &self.dhcp else { return true };
        let mut buffer = [0; LONGEST_FRAME];
        let written = dhcp.client.write_frame(request, next_hop, &mut buffer);
        let bytes = written.ok().and_then(|length| buffer.get(..length));
        // There is room enough: this long is the longest.
        let Some(bytes) = bytes else { return true };
        let fill = &mut |frame: &mut [u8]| frame.copy_from_slice(bytes);
        let sent = self.engine.send(bytes.len() - ETHERNET, fill);
        self.engine.transmit.flush();
        sent
    }
}
