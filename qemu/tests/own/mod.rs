//! Networks of their own for tests.
#![allow(dead_code, reason = "each test program needs some of it")]

use reflex_qemu::machine::{Tap, TapError};
use reflex_qemu::{namespace, process};

/// Moves the test into a network of its own, with all that it starts.
pub(crate) fn network() {
    process::end_with_parent().unwrap();
    namespace::enter().unwrap_or_else(|error| panic!("{error}"));
}

/// The device, or `None` where this user may not open `/dev/net/tun`.
pub(crate) fn permitted(tap: Result<Tap, TapError>) -> Option<Tap> {
    match tap {
        Ok(tap) => Some(tap),
        Err(error @ (TapError::NoAccess | TapError::NoDriver)) => {
            assert!(error.to_string().contains("/dev/net/tun"));
            None
        }
        Err(error) => panic!("{error}"),
    }
}
