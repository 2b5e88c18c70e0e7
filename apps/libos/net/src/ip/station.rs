//! The interface's addresses, as the classifier and its replies see them.

/// The interface as the classifier sees it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Station {
    pub(crate) mac: [u8; 6],
    /// Address and prefix length; `None` before there is one.
    pub(crate) address: Option<(u32, u8)>,
    /// IPv6 addresses; 0 is none.
    pub(crate) addresses6: [u128; 2],
    /// The UDP port with datagrams for a protocol beside the stack.
    pub(crate) attached: Option<u16>,
    /// Whether a DHCP client hears what is sent to its port, whatever the address.
    pub(crate) hears_dhcp: bool,
    /// Whether packets of 127.0.0.0/8 go round: then a [`Loopback`](crate::Loopback) keeps those from the wire away.
    pub(crate) loopback: bool,
}

impl Station {
    pub(crate) fn is_broadcast(&self, address: u32) -> bool {
        let subnet = |(own, prefix): (u32, u8)| {
            prefix < 31 && address == own | u32::MAX.checked_shr(prefix.into()).unwrap_or(0)
        };
        address == u32::MAX || self.address.is_some_and(subnet)
    }

    /// Whether a packet may be from `address`: not from a group, everyone, a loopback (RFC 1122,
    /// 3.2.1.3) or ourselves. What is answered there serves to flood others.
    #[inline]
    pub(crate) fn is_sender(&self, address: u32) -> bool {
        let ours = self.address.is_some_and(|(own, _)| own == address);
        let elsewhere = address >> 24 != 127 || self.loopback;
        address < 0xe000_0000 && elsewhere && !ours && !self.is_broadcast(address)
    }
}
