//! What a capture tells of one of its machines: which requests it made, which memory it offered.

use crate::common::capture::Capture;
use reflex_rdma_wire::*;
use std::collections::HashMap;

/// One frame between two queue pairs, neither of which is the general service's.
#[derive(Clone)]
pub(crate) struct Frame {
    pub(crate) bytes: Vec<u8>,
    /// The machine the story is of sent it.
    pub(crate) is_own: bool,
    /// How many RoCE frames went the same way before it, those of connection management included.
    pub(crate) rank: usize,
}

impl Frame {
    pub(crate) fn packet(&self) -> Packet<'_> {
        Packet::parse(&self.bytes).expect("checked when the capture was read")
    }
}

/// A capture as one of its machines lived it.
pub(crate) struct Story {
    pub(crate) transport: Transport,
    pub(crate) frames: Vec<Frame>,
    pub(crate) own: Qpn,
    pub(crate) peer: Qpn,
    pub(crate) envelope: Envelope,
    pub(crate) own_psn: Option<Psn>,
    pub(crate) peer_psn: Option<Psn>,
    pub(crate) mtu: PathMtu,
    /// Frames were sent again.
    pub(crate) shows_loss: bool,
}

impl Story {
    /// The stories of both machines, those that sent something; true for the one with the lower
    /// address. None when more than one pair of queue pairs talk, or one that never shows its
    /// numbers.
    pub(crate) fn both_sides(capture: &Capture) -> Vec<(bool, Self)> {
        let mut packets = Vec::new();
        let mut ranks: HashMap<Gid, usize> = HashMap::new();
        for bytes in &capture.packets {
            let Ok(packet) = Packet::parse(bytes) else { continue };
            let rank = ranks.entry(packet.datagram().source()).or_default();
            *rank += 1;
            if packet.bth().destination != Qpn::GENERAL_SERVICE {
                packets.push((bytes.clone(), packet.datagram().source(), *rank - 1));
            }
        }
        let mut machines: Vec<Gid> = Vec::new();
        for bytes in &capture.packets {
            let Ok(packet) = Packet::parse(bytes) else { continue };
            machines.extend([packet.datagram().source(), packet.datagram().destination()]);
        }
        machines.sort();
        machines.dedup();
        if packets.is_empty() || machines.len() != 2 {
            println!("{}: no single pair of queue pairs", capture.name);
            return Vec::new();
        }
        let stories = [0, 1].map(|which| Self::of(&packets, machines[which]));
        let mut found = Vec::new();
        for (which, story) in stories.into_iter().enumerate() {
            match story {
                Some(story) => found.push((which == 0, story)),
                None => println!("{}: no single pair of queue pairs", capture.name),
            }
        }
        found.retain(|(_, story)| story.frames.iter().any(|frame| frame.is_own));
        found
    }

    fn of(packets: &[(Vec<u8>, Gid, usize)], machine: Gid) -> Option<Self> {
        let frames: Vec<Frame> = packets
            .iter()
            .map(|(bytes, from, rank)| Frame {
                bytes: bytes.clone(),
                is_own: *from == machine,
                rank: *rank,
            })
            .collect();
        // The numbers of both; that of one that is never sent to can be any.
        let number = |is_own: bool| {
            let mut numbers: Vec<Qpn> = frames
                .iter()
                .filter(|frame| frame.is_own != is_own)
                .map(|frame| frame.packet().bth().destination)
                .collect();
            numbers.sort();
            numbers.dedup();
            match numbers[..] {
                [] => Some(Qpn::new(0x11)),
                [number] => Some(number),
                _ => None,
            }
        };
        let (own, peer) = (number(true)?, number(false)?);
        let sample = frames.iter().find(|frame| frame.is_own).or(frames.first())?;
        let mut envelope = sample.packet().datagram().envelope();
        if !sample.is_own {
            std::mem::swap(&mut envelope.source, &mut envelope.destination);
        }
        (envelope.identification, envelope.flow_label) = (0, 0);
        let first = |is_own: bool| {
            let mut requests = frames.iter().filter(|frame| frame.is_own == is_own);
            let request = requests.find(|frame| frame.packet().bth().opcode.is_request())?;
            Some(request.packet().bth().psn)
        };
        let (own_psn, peer_psn) = (first(true), first(false));
        // A packet that is not the last of its message is as long as the path allows.
        let full = frames.iter().find(|frame| {
            let packet = frame.packet();
            !packet.bth().opcode.position().ends() && packet.bth().opcode.has_payload()
        });
        let mtu = full.and_then(|frame| {
            let length = frame.packet().payload().len();
            PathMtu::ALL.into_iter().find(|mtu| mtu.bytes() == length)
        });
        let mut shows_loss = false;
        for is_own in [true, false] {
            let mut last: Option<Psn> = None;
            for frame in frames.iter().filter(|frame| frame.is_own == is_own) {
                let packet = frame.packet();
                if !packet.bth().opcode.is_request() {
                    continue;
                }
                let psn = packet.bth().psn;
                shows_loss |= last.is_some_and(|last| !psn.is_after(last));
                last = Some(psn);
            }
        }
        let transport = frames.first()?.packet().bth().opcode.transport();
        let mtu = mtu.unwrap_or(PathMtu::B1024);
        Some(Self { transport, frames, own, peer, envelope, own_psn, peer_psn, mtu, shows_loss })
    }
}
