//! The numbers of a socket that others went by, and those on the wire.

/// Where a segment's numbers are behind its IPv4 header, and where its options begin.
const SEQUENCE: usize = 4;
const ACKNOWLEDGEMENT: usize = 8;
const OPTIONS: usize = 20;
/// The option that says what has come out of order (RFC 2018, 3).
const SACK: u8 = 5;

/// Bytes that went by a socket: from the peer, and to it. What its numbers differ by from those on the wire.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Gone {
    pub(super) received: u32,
    pub(super) sent: u32,
}

impl Gone {
    pub(crate) const NONE: Self = Self { received: 0, sent: 0 };

    /// Whether they do not.
    #[inline]
    pub(crate) fn is_none(self) -> bool {
        self == Self::NONE
    }

    /// Has the segment in a packet that the socket has made be of the wire.
    #[cold]
    pub(crate) fn to_wire(self, packet: &mut [u8]) {
        let Some(segment) = segment_of(packet) else { return };
        add(segment, SEQUENCE, self.sent);
        add(segment, ACKNOWLEDGEMENT, self.received);
        let end = (usize::from(segment[12] >> 4) * 4).min(segment.len());
        let mut at = OPTIONS;
        while at + 1 < end {
            let length = match segment[at] {
                0 => break,
                1 => 1,
                SACK => {
                    let length = usize::from(segment[at + 1]);
                    for edge in (at + 2..(at + length).min(end)).step_by(4) {
                        add(segment, edge, self.received);
                    }
                    length
                }
                _ => usize::from(segment[at + 1]),
            };
            at += length.max(1);
        }
    }

    /// Has the segment in a packet of the wire be one for the socket. What it says of text out of order smoltcp does
    /// not look at.
    #[cold]
    pub(crate) fn to_socket(self, packet: &mut [u8]) {
        let Some(segment) = segment_of(packet) else { return };
        add(segment, SEQUENCE, self.received.wrapping_neg());
        add(segment, ACKNOWLEDGEMENT, self.sent.wrapping_neg());
    }
}

/// What is behind the IPv4 header, if that has a TCP header's length.
fn segment_of(packet: &mut [u8]) -> Option<&mut [u8]> {
    let header = usize::from(packet.first()? & 15) * 4;
    packet.get_mut(header..).filter(|segment| segment.len() >= OPTIONS)
}

/// Adds to the number at `offset`, if there is one.
fn add(segment: &mut [u8], offset: usize, by: u32) {
    if let Some(number) = segment.get_mut(offset..).and_then(|rest| rest.first_chunk_mut::<4>()) {
        *number = u32::from_be_bytes(*number).wrapping_add(by).to_be_bytes();
    }
}

#[cfg(test)]
mod tests {
    use super::Gone;
    use crate::ip::header::word;
    use crate::ip::tcp::bare::Bare;
    use proptest::prelude::*;

    fn packet(numbers: (u32, u32), options: &[u8]) -> std::vec::Vec<u8> {
        let (sequence, acknowledgement) = numbers;
        let party = ([10, 0, 0, 1], 80);
        let (source, destination) = (party, party);
        let bare = Bare { source, destination, flags: 16, sequence, acknowledgement, window: 1 };
        let mut packet = bare.packet_before(options.len() as u16).to_vec();
        packet[32] = 0x50 + ((options.len() as u8) << 2);
        packet.extend_from_slice(options);
        packet
    }

    #[test]
    fn what_was_received_out_of_order_is_told_in_the_wire_s_numbers() {
        let gone = Gone { received: 0x1_0000, sent: 1 };
        let options = [1, 1, 5, 18, 0, 0, 0, 1, 0, 0, 0, 9, 0xff, 0xff, 0, 0, 0, 0, 0, 2];
        let mut packet = packet((u32::MAX, 7), &options);
        gone.to_wire(&mut packet);
        let numbers = [24, 28, 44, 48, 52, 56].map(|at| word(&packet, at));
        assert_eq!(numbers, [0, 0x1_0007, 0x1_0001, 0x1_0009, 0, 0x1_0002]);
        assert_eq!(packet[40..44], [1, 1, 5, 18]);
    }

    proptest! {
        #[test]
        fn there_and_back_are_the_same(
            numbers: (u32, u32), gone: (u32, u32), options in prop::collection::vec(any::<u8>(), 0..=10),
            cut in 0usize..80,
        ) {
            let gone = Gone { received: gone.0, sent: gone.1 };
            let mut options = options;
            options.resize(options.len() / 4 * 4, 0);
            let mut heard = packet(numbers, &options);
            let before = heard.clone();
            gone.to_socket(&mut heard);
            prop_assert_eq!(word(&heard, 24), numbers.0.wrapping_sub(gone.received));
            prop_assert_eq!(word(&heard, 28), numbers.1.wrapping_sub(gone.sent));
            // The socket answers with the numbers changed round.
            let answer = Gone { received: gone.sent, sent: gone.received };
            answer.to_wire(&mut heard);
            prop_assert_eq!(&heard[..40], &before[..40]);
            // Whatever a packet is, it is as long as it was.
            heard.truncate(cut);
            let length = heard.len();
            gone.to_wire(&mut heard);
            gone.to_socket(&mut heard);
            prop_assert_eq!(heard.len(), length);
        }
    }
}
