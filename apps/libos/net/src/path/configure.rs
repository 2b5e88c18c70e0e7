//! The interface's address as the DHCP client finds it out.

use crate::ip::dhcp::Lease;
use crate::ip::header::ETHERNET;
use crate::ip::time::time;
use crate::path::stack::Stack;
use reflex_event::Kernel;
use reflex_hil::Frame;

impl<K: Kernel> Stack<K> {
    /// Lets the DHCP client work, if there is one.
    pub(crate) fn run_dhcp(&mut self, frame: Option<&Frame>) {
        let now = self.net.kernel().now();
        let Some(dhcp) = &mut self.dhcp else { return };
        // An ARP request is answered elsewhere; only replies are for the client.
        let request = |frame: &Frame| {
            frame.get(ETHERNET - 2..ETHERNET) == Some(&[8, 6]) && frame.get(21) == Some(&1)
        };
        match dhcp.run(&mut self.engine, frame.filter(|frame| !request(frame)), time(now)) {
            Lease::Unchanged => {}
            Lease::Granted(address) => self.set_address(Some(address)),
            Lease::Lost => self.set_address(None),
        }
    }
}
