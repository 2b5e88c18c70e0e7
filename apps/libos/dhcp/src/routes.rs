//! Classless routes on the wire (RFC 3442): the prefix, as many bytes of the network as that has, the
//! router.

use crate::address::{is_host, mask};
use crate::list::List;
use crate::parameters::{MOST_ROUTES, Route};
use core::net::Ipv4Addr;

/// What an option's bytes say.
pub(crate) struct Routes {
    pub(crate) routes: List<Route, MOST_ROUTES>,
    /// Not all of them have found room.
    pub(crate) too_many: bool,
}

/// Reads an option's bytes; `None` when they are malformed anywhere: half of the routes may be worse
/// than none.
pub(crate) fn parse(mut bytes: impl Iterator<Item = u8>) -> Option<Routes> {
    let mut parsed = Routes { routes: List::new(), too_many: false };
    while let Some(prefix) = bytes.next() {
        if prefix > 32 {
            return None;
        }
        let mut network = [0; 4];
        for byte in network.iter_mut().take(usize::from(prefix.div_ceil(8))) {
            *byte = bytes.next()?;
        }
        let mut router = [0; 4];
        for byte in &mut router {
            *byte = bytes.next()?;
        }
        let router = Ipv4Addr::from(router);
        let router = (!router.is_unspecified()).then_some(router);
        if router.is_some_and(|router| !is_host(router)) {
            return None;
        }
        // Bits behind the prefix are to be ignored.
        let network = Ipv4Addr::from_bits(u32::from_be_bytes(network) & mask(prefix));
        parsed.too_many |= !parsed.routes.push(Route { network, prefix, router });
    }
    (!parsed.routes.is_empty()).then_some(parsed)
}
