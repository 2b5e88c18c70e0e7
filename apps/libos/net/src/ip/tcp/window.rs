//! The initial window: ten segments (RFC 6928).
//!
//! smoltcp's Reno begins with 2,048 bytes and takes no other number, but it has a floor: one segment of the size that
//! the peer's SYN names, whenever something is acknowledged. It also outlives `listen` and `connect`. So a socket is
//! *primed*: it is played a connection with a peer that takes segments as long as the window is to be, and that
//! acknowledges one byte (`socket_reset.rs`). The next SYN then says how long segments really are.
//!
//! A window that nothing was lost of is no smaller afterwards. Where it is larger than the send buffer all the same it bounds
//! nothing, and the socket stays primed.

use crate::ip::endpoint::Endpoint;
use smoltcp::socket::tcp::CongestionControl;

/// Bytes of text that a peer takes in a segment if it does not say (RFC 9293, 3.7.1), and the least that is
/// believed of one that does.
const USUAL: u16 = 536;
const LEAST: u16 = 48;
/// The initial window with segments of 1,460 bytes, and the largest there is (RFC 6928, 2).
pub(crate) const LARGEST: u16 = 14_600;

/// The initial window with segments of so many bytes (RFC 6928, 2), where they are no larger than Ethernet's.
fn initial(mss: u16) -> usize {
    usize::from(LARGEST).min(10 * usize::from(mss))
}

impl Endpoint {
    /// Whether the socket is to be primed before its next connection.
    pub(crate) fn is_worn(&mut self) -> bool {
        self.worn || self.socket().send_capacity() > usize::from(LARGEST)
    }

    /// The peer's SYN is about to be heard: what it says of segments and windows is kept. When ten of its segments are less than the window, and than what there
    /// may be to be sent, it is Reno's own.
    pub(crate) fn fit_window(&mut self, options: &[u8]) {
        self.lead.begin(mss(options), scale(options));
        let window = initial(mss(options));
        if window < usize::from(LARGEST) && window < self.socket().send_capacity() {
            self.socket().set_congestion_control(CongestionControl::Reno);
            self.worn = true;
        }
    }
}

/// The bytes of text that a peer takes in a segment, which its SYN has these options for.
pub(crate) fn mss(options: &[u8]) -> u16 {
    let said = option(options, 2).and_then(|value| value.first_chunk());
    let said = said.map(|bytes| u16::from_be_bytes(*bytes)).filter(|mss| *mss != 0);
    said.map_or(USUAL, |mss| mss.max(LEAST))
}

/// By how many bits a peer's windows are scaled, which its SYN has these options for (RFC 7323, 2.3).
pub(crate) fn scale(options: &[u8]) -> u8 {
    option(options, 3).and_then(|value| value.first()).map_or(0, |scale| (*scale).min(14))
}

/// The value of an option of this kind, if it is there and whole (RFC 9293, 3.1).
pub(crate) fn option(mut options: &[u8], wanted: u8) -> Option<&[u8]> {
    loop {
        match *options {
            [0, ..] | [] => return None,
            [1, ..] => options = &options[1..],
            [kind, length, ..] => {
                let value = options.get(2..usize::from(length))?;
                if kind == wanted {
                    return Some(value);
                }
                options = &options[usize::from(length)..];
            }
            [_] => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{mss, option, scale};

    #[test]
    fn an_option_is_found_behind_others_and_not_where_they_end() {
        let value = &[5, 180][..];
        for (options, found) in [
            (&[2, 4, 5, 180][..], Some(value)),
            (&[1, 1, 3, 3, 7, 2, 4, 5, 180], Some(value)),
            (&[0, 2, 4, 5, 180], None),
            (&[], None),
            (&[2], None),
            (&[2, 4, 5], None),
            (&[2, 0, 5, 180], None),
            (&[2, 1, 5, 180], None),
            (&[3, 0, 2, 4, 5, 180], None),
        ] {
            assert_eq!(option(options, 2), found, "{options:?}");
        }
        assert_eq!((mss(&[2, 4, 5, 180]), mss(&[2, 4, 0, 0]), mss(&[2, 4, 0, 1])), (1460, 536, 48));
        assert_eq!((scale(&[1, 3, 3, 7]), scale(&[3, 3, 255]), scale(&[3, 2])), (7, 14, 0));
    }
}
