//! What is wrong is refused, by name; and nothing panics.

use proptest::collection::vec;
use proptest::prelude::*;
use reflex_rdma_wire::cm::*;
use reflex_rdma_wire::*;

const V4: [&str; 2] = ["10.0.0.1", "10.0.0.2"];
const V6: [&str; 2] = ["fd00::1", "fd00::2"];

fn envelope(addresses: [&str; 2]) -> Envelope {
    let [source, destination] =
        addresses.map(|address| Gid::from(address.parse::<std::net::IpAddr>().unwrap()));
    Envelope::new(source, destination, 0xc123)
}

fn written(addresses: [&str; 2], bth: &Bth, extension: &Extension, payload: &[u8]) -> Vec<u8> {
    let envelope = envelope(addresses);
    let mut buffer = vec![0; packet_length(&envelope, extension, payload.len())];
    let mut emitter = Emitter::new(&mut buffer, &envelope, bth, extension, payload.len()).unwrap();
    emitter.append(payload).unwrap();
    emitter.finish().unwrap();
    buffer
}

fn send(addresses: [&str; 2], payload: &[u8]) -> Vec<u8> {
    let bth = Bth::new(Opcode::RcSendOnly, Qpn::new(0x11), Psn::new(7));
    written(addresses, &bth, &Extension::None, payload)
}

fn acknowledge(addresses: [&str; 2]) -> Vec<u8> {
    let bth = Bth::new(Opcode::RcAcknowledge, Qpn::new(0x11), Psn::new(7));
    let aeth = Aeth { syndrome: Syndrome::Ack(Credits::UNLIMITED), msn: 1 };
    written(addresses, &bth, &Extension::Aeth(aeth), &[])
}

/// The packet with its IPv4 header checksum made right, by other code than the crate's.
fn summed(mut packet: Vec<u8>) -> Vec<u8> {
    if packet[0] >> 4 == 4 {
        packet[10..12].fill(0);
        let words = packet[..20].chunks(2);
        let mut sum: u32 = words.map(|word| u32::from(word[0]) << 8 | u32::from(word[1])).sum();
        while sum > 0xffff {
            sum = (sum & 0xffff) + (sum >> 16);
        }
        packet[10..12].copy_from_slice(&(!sum as u16).to_be_bytes());
    }
    packet
}

/// The packet with its IPv4 header checksum and its ICRC made right, by other code than the
/// crate's.
fn sealed(packet: Vec<u8>) -> Vec<u8> {
    let mut packet = summed(packet);
    let end = packet.len() - 4;
    let mut covered = [&[0xff; 8][..], &packet[..end]].concat();
    let (ip, length) = (&mut covered[8..], if packet[0] >> 4 == 4 { 20 } else { 40 });
    if length == 20 {
        for at in [1, 8, 10, 11] {
            ip[at] = 0xff;
        }
    } else {
        ip[0] |= 0x0f;
        for at in [1, 2, 3, 7] {
            ip[at] = 0xff;
        }
    }
    for at in [length + 6, length + 7, length + 8 + 4] {
        ip[at] = 0xff;
    }
    let mut crc = !0u32;
    for byte in covered {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            crc = if crc & 1 != 0 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 };
        }
    }
    packet[end..].copy_from_slice(&(!crc).to_le_bytes());
    packet
}

/// Changes the packet and seals it again.
fn with(mut packet: Vec<u8>, change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    change(&mut packet);
    sealed(packet)
}

fn refusal(packet: &[u8]) -> Option<Error> {
    Packet::parse(packet).err()
}

#[test]
fn sealing_by_other_code_comes_to_the_same() {
    for addresses in [V4, V6] {
        for length in 0..9 {
            let packet = send(addresses, &[0x5a; 9][..length]);
            assert_eq!(sealed(packet.clone()), packet);
        }
    }
}

#[test]
fn ip_headers() {
    assert_eq!(refusal(&[]), Some(Error::Truncated));
    for version in (0..16).filter(|version| ![4, 6].contains(version)) {
        let mut packet = send(V4, b"12345678");
        packet[0] = version << 4 | 5;
        assert_eq!(refusal(&packet), Some(Error::IpVersion));
    }
    let v4 = || send(V4, b"12345678");
    assert_eq!(refusal(&with(v4(), |p| p[0] = 0x46)), Some(Error::IpOptions));
    assert_eq!(refusal(&with(v4(), |p| p[0] = 0x44)), Some(Error::IpOptions));
    assert_eq!(refusal(&with(v4(), |p| p[3] += 1)), Some(Error::IpLength));
    assert_eq!(refusal(&with(v4(), |p| p[3] = 27)), Some(Error::IpLength));
    assert_eq!(refusal(&with(v4(), |p| p[2] = 0xff)), Some(Error::IpLength));
    assert_eq!(refusal(&with(v4(), |p| p[6] |= 0x20)), Some(Error::Fragment));
    assert_eq!(refusal(&with(v4(), |p| p[6] |= 0x80)), Some(Error::Fragment));
    assert_eq!(refusal(&with(v4(), |p| p[7] = 1)), Some(Error::Fragment));
    assert_eq!(refusal(&with(v4(), |p| p[9] = 6)), Some(Error::NotUdp));
    // May be fragmented, other identification, type of service, time to live: all the same.
    assert_eq!(refusal(&with(v4(), |p| p[6] = 0)), None);
    assert_eq!(refusal(&with(v4(), |p| p[4] = 0x77)), None);
    assert_eq!(refusal(&with(v4(), |p| p[1] = 3)), None);
    assert_eq!(refusal(&with(v4(), |p| p[8] = 1)), None);
    let mut packet = v4();
    packet[10] ^= 0x10;
    assert_eq!(refusal(&packet), Some(Error::IpChecksum));

    let v6 = || send(V6, b"12345678");
    assert_eq!(refusal(&with(v6(), |p| p[5] += 1)), Some(Error::IpLength));
    assert_eq!(refusal(&with(v6(), |p| p[5] = 7)), Some(Error::IpLength));
    assert_eq!(refusal(&with(v6(), |p| p[6] = 44)), Some(Error::Fragment));
    assert_eq!(refusal(&with(v6(), |p| p[6] = 0)), Some(Error::NotUdp));
    assert_eq!(refusal(&with(v6(), |p| p[7] = 1)), None);
}

#[test]
fn udp_headers() {
    for (addresses, at) in [(V4, 20), (V6, 40)] {
        let packet = || send(addresses, b"12345678");
        assert_eq!(refusal(&with(packet(), |p| p[at + 3] ^= 1)), Some(Error::Port));
        assert_eq!(refusal(&with(packet(), |p| p[at + 5] -= 4)), Some(Error::UdpLength));
        assert_eq!(refusal(&with(packet(), |p| p[at + 5] += 4)), Some(Error::UdpLength));
        assert_eq!(refusal(&with(packet(), |p| p[at + 5] = 0)), Some(Error::UdpLength));
        assert_eq!(refusal(&with(packet(), |p| p[at + 7] = 1)), Some(Error::UdpChecksum));
        // Any source port.
        assert_eq!(refusal(&with(packet(), |p| p[at] ^= 0xff)), None);
    }
}

/// A sender may compute a UDP checksum; the ICRC takes its place for ones.
#[test]
fn a_right_udp_checksum_is_taken() {
    for (addresses, at) in [(V4, 20), (V6, 40)] {
        let mut packet = send(addresses, b"123456789");
        let length = packet.len() - at;
        let from = if at == 20 { 12 } else { 8 };
        let pseudo = [&packet[from..at], &[0, 17, (length >> 8) as u8, length as u8]].concat();
        let mut sum = 0u32;
        for word in pseudo.chunks(2).chain(packet[at..].chunks(2)) {
            sum += u32::from(word[0]) << 8 | u32::from(*word.get(1).unwrap_or(&0));
        }
        while sum > 0xffff {
            sum = (sum & 0xffff) + (sum >> 16);
        }
        packet[at + 6..at + 8].copy_from_slice(&(!sum as u16).to_be_bytes());
        assert_eq!(refusal(&packet), None);
        packet[at + 9] ^= 1;
        assert_eq!(refusal(&packet), Some(Error::UdpChecksum));
    }
}

#[test]
fn base_headers() {
    for (addresses, at) in [(V4, 28), (V6, 48)] {
        let packet = || send(addresses, b"12345678");
        for opcode in (0..=0xff).filter(|bits| Opcode::from_bits(*bits).is_none()) {
            assert_eq!(refusal(&with(packet(), |p| p[at] = opcode)), Some(Error::Opcode));
        }
        for version in 1..16 {
            let packet = with(packet(), |p| p[at + 1] |= version);
            assert_eq!(refusal(&packet), Some(Error::TransportVersion));
        }
        // Another P_Key, migration, congestion, queue pair, and reserved bits are for others.
        for (byte, bits) in [(1, 0xc0), (2, 0xff), (4, 0xff), (5, 0xff), (8, 0xff), (9, 0xff)] {
            assert_eq!(refusal(&with(packet(), |p| p[at + byte] ^= bits)), None);
        }
        // Three pad bytes at most, and no more than there are bytes.
        for pad in 0..4 {
            let packet = with(packet(), |p| p[at + 1] |= pad << 4);
            let length = Packet::parse(&packet).map(|packet| packet.payload().len());
            assert_eq!(length, Ok(8 - usize::from(pad)));
        }
        let empty = with(send(addresses, b""), |p| p[at + 1] |= 1 << 4);
        assert_eq!(refusal(&empty), Some(Error::Pad));
    }
}

/// A packet of which the UDP payload is so many bytes long.
fn resized(mut packet: Vec<u8>, at: usize, length: usize) -> Vec<u8> {
    packet.resize(at + length, 0x11);
    let udp = (length + 8) as u16;
    packet[at - 4..at - 2].copy_from_slice(&udp.to_be_bytes());
    if at == 28 {
        packet[2..4].copy_from_slice(&(udp + 20).to_be_bytes());
    } else {
        packet[4..6].copy_from_slice(&udp.to_be_bytes());
    }
    if length < 16 { summed(packet) } else { sealed(packet) }
}

#[test]
fn lengths() {
    for (addresses, at) in [(V4, 28), (V6, 48)] {
        for length in 0..40 {
            let send = refusal(&resized(send(addresses, b"12345678"), at, length));
            let expected = match length {
                0..16 => Some(Error::Truncated),
                _ if length % 4 != 0 => Some(Error::Alignment),
                _ => None,
            };
            assert_eq!(send, expected, "a send of {length} bytes");
            let acknowledge = refusal(&resized(acknowledge(addresses), at, length));
            let expected = match length {
                0..20 => Some(Error::Truncated),
                20 => None,
                _ if length % 4 != 0 => Some(Error::Alignment),
                _ => Some(Error::UnexpectedPayload),
            };
            assert_eq!(acknowledge, expected, "an acknowledge of {length} bytes");
        }
    }
}

#[test]
fn syndromes_and_icrcs() {
    for (addresses, at) in [(V4, 28), (V6, 48)] {
        for bits in 0..=0xff {
            let packet = with(acknowledge(addresses), |p| p[at + 12] = bits);
            let reserved = Syndrome::from_bits(bits).is_none();
            assert_eq!(refusal(&packet), reserved.then_some(Error::Syndrome));
        }
        let mut packet = send(addresses, b"12345678");
        let last = packet.len() - 1;
        packet[last] ^= 1;
        assert_eq!(refusal(&packet), Some(Error::Icrc));
        // All but the ICRC was right, and could be looked at.
        let unverified = Unverified::parse(Datagram::parse(&packet).unwrap()).unwrap();
        assert_eq!(unverified.bth().destination, Qpn::new(0x11));
        assert_eq!(unverified.datagram().source(), envelope(addresses).source);
        assert_eq!(unverified.verify().err(), Some(Error::Icrc));
    }
}

#[test]
fn what_cannot_be_written() {
    let v4 = envelope(V4);
    let mixed = Envelope { destination: envelope(V6).destination, ..v4 };
    let send = Bth::new(Opcode::RcSendOnly, Qpn::new(1), Psn::new(0));
    let read = Bth::new(Opcode::RcReadRequest, Qpn::new(1), Psn::new(0));
    let reth = Extension::Reth(Reth { address: 0, key: RKey(0), length: 1 });
    let mut buffer = vec![0; 70_000];
    let mut refused = |envelope, bth, extension, payload| {
        let headers = emit_headers(&mut buffer, envelope, bth, extension, payload).err();
        let whole = Emitter::new(&mut buffer, envelope, bth, extension, payload).err();
        assert_eq!(headers, whole);
        whole
    };
    assert_eq!(refused(&v4, &send, &Extension::None, 0), None);
    assert_eq!(refused(&v4, &send, &reth, 0), Some(Error::ExtensionMismatch));
    assert_eq!(refused(&v4, &read, &Extension::None, 0), Some(Error::ExtensionMismatch));
    assert_eq!(refused(&v4, &read, &reth, 0), None);
    assert_eq!(refused(&v4, &read, &reth, 1), Some(Error::UnexpectedPayload));
    assert_eq!(refused(&mixed, &send, &Extension::None, 0), Some(Error::MixedFamilies));
    let v6 = envelope(V6);
    for (envelope, most) in [(&v4, 0xffff - 28 - 12 - 4), (&v6, 0xffff - 48 - 12 - 4)] {
        // The packet ends at a multiple of four.
        let most = most / 4 * 4;
        assert_eq!(refused(envelope, &send, &Extension::None, most), None);
        let longer = refused(envelope, &send, &Extension::None, most + 1);
        assert_eq!(longer, Some(Error::TooLong));
    }
    assert_eq!(refused(&v4, &send, &Extension::None, usize::MAX), Some(Error::TooLong));
}

#[test]
fn which_packets_are_taken() {
    for (addresses, at) in [(V4, 20), (V6, 40)] {
        let packet = send(addresses, b"12345678");
        assert!(is_roce(&packet));
        for length in 0..at + 4 {
            assert!(!is_roce(&packet[..length]));
        }
        let changed = |byte: usize, bits: u8| {
            let mut packet = packet.clone();
            packet[byte] ^= bits;
            is_roce(&packet)
        };
        assert!(!changed(at + 2, 1), "another port");
        assert!(!changed(if at == 20 { 9 } else { 6 }, 1), "another protocol");
        assert!(!changed(0, 0x80), "another version");
        if at == 20 {
            assert!(!changed(7, 1), "a later fragment");
            // The first fragment is taken, and refused by name.
            assert!(changed(6, 0x20));
        }
    }
    // Behind options.
    let mut packet = send(V4, b"12345678");
    packet.splice(20..20, [1; 4]);
    packet[0] = 0x46;
    assert!(is_roce(&packet));
    assert_eq!(refusal(&packet), Some(Error::IpOptions));
}

fn mad(message: Message<'_>) -> Result<[u8; Mad::LENGTH], Error> {
    let mut bytes = [0; Mad::LENGTH];
    Mad { transaction: 1, message }.emit(&mut bytes)?;
    Ok(bytes)
}

fn request() -> Req<'static> {
    let [local, remote] = [envelope(V4).source, envelope(V4).destination];
    let timeout = AckTimeout::from_code(20);
    Req {
        local_id: CommId(1),
        service: ServiceId::ip(PortSpace::Tcp, 7174),
        ca_guid: 2,
        qkey: QKey(0),
        qpn: Qpn::new(0x11),
        responder_resources: 1,
        initiator_depth: 1,
        local_eecn: 0,
        remote_eecn: 0,
        remote_response_timeout: timeout,
        transport: Service::Reliable,
        flow_control: false,
        psn: Psn::new(5),
        local_response_timeout: timeout,
        retries: 7,
        partition: PKey::DEFAULT,
        mtu: PathMtu::B1024,
        rdc_exists: false,
        rnr_retries: 7,
        max_cm_retries: 15,
        shared_receive_queue: false,
        extended_transport: 0,
        primary: Path::new(local, remote, AckTimeout::from_code(19)),
        alternate: None,
        private_data: &[],
    }
}

#[test]
fn management_datagrams() {
    let good = mad(Message::Req(request())).unwrap();
    let refused = |at: usize, value: u8| {
        let mut bytes = good;
        bytes[at] = value;
        Mad::parse(&bytes).err()
    };
    assert_eq!(refused(0, 1), None);
    for (at, value, error) in [
        (0, 2, Error::MadClass),
        (1, 1, Error::MadClass),
        (2, 1, Error::MadClass),
        (3, 1, Error::MadMethod),
        (16, 1, Error::MadAttribute),
        (17, 0x0f, Error::MadAttribute),
        (17, 0x19, Error::MadAttribute),
        // Reliable datagram, and a reserved service; reserved MTUs.
        (24 + 43, 2 << 1, Error::ReservedValue),
        (24 + 43, 3 << 1, Error::ReservedValue),
        (24 + 50, 0x00, Error::ReservedValue),
        (24 + 50, 0x60, Error::ReservedValue),
    ] {
        assert_eq!(refused(at, value), Some(error), "byte {at}");
    }
    for length in (0..256).chain([257, 300]) {
        assert_eq!(Mad::parse(&vec![1; length]), Err(Error::MadLength));
        let whole = Mad::parse(&good).unwrap();
        assert_eq!(whole.emit(&mut vec![0; length]), Err(Error::MadLength));
    }

    let rej = Rej {
        local_id: CommId(1),
        remote_id: CommId(2),
        received: Received::Req,
        reason: RejectReason::INVALID_SERVICE_ID,
        info: &[],
        private_data: &[],
    };
    let mut bytes = mad(Message::Rej(rej)).unwrap();
    bytes[24 + 9] = 72 << 1;
    assert!(Mad::parse(&bytes).is_ok());
    bytes[24 + 9] = 73 << 1;
    assert_eq!(Mad::parse(&bytes), Err(Error::ReservedValue));
    bytes[24 + 9] = 0;
    bytes[24 + 8] = 3 << 6;
    assert_eq!(Mad::parse(&bytes), Err(Error::ReservedValue));
    let long = Rej { info: &[0; 73], ..rej };
    assert_eq!(mad(Message::Rej(long)), Err(Error::FieldOverflow));
    let long = Rej { private_data: &[0; Rej::PRIVATE_DATA + 1], ..rej };
    assert_eq!(mad(Message::Rej(long)), Err(Error::PrivateDataTooLong));
}

#[test]
fn values_wider_than_their_fields() {
    let good = request();
    let path = good.primary;
    for wide in [
        Req { retries: 8, ..good },
        Req { rnr_retries: 8, ..good },
        Req { max_cm_retries: 16, ..good },
        Req { extended_transport: 8, ..good },
        Req { local_eecn: 1 << 24, ..good },
        Req { remote_eecn: 1 << 24, ..good },
        Req { primary: Path { flow_label: 1 << 20, ..path }, ..good },
        Req { primary: Path { packet_rate: 64, ..path }, ..good },
        Req { alternate: Some(Path { service_level: 16, ..path }), ..good },
    ] {
        assert_eq!(mad(Message::Req(wide)), Err(Error::FieldOverflow), "{wide:?}");
    }
}

/// The fields that no capture shows, at their places (IBA volume 1, tables 106 and 107).
#[test]
fn fields_lie_where_the_specification_has_them() {
    let mra = Mra {
        local_id: CommId(0x0102_0304),
        remote_id: CommId(0x0506_0708),
        received: Received::Rep,
        service_timeout: AckTimeout::from_code(21),
        private_data: b"data",
    };
    let mut expected = [0; Mad::LENGTH];
    expected[..4].copy_from_slice(&[1, 7, 2, 3]);
    expected[15] = 1;
    expected[17] = 0x11;
    expected[24..38].copy_from_slice(&[
        1,
        2,
        3,
        4,
        5,
        6,
        7,
        8,
        1 << 6,
        21 << 3,
        b'd',
        b'a',
        b't',
        b'a',
    ]);
    assert_eq!(mad(Message::Mra(mra)).unwrap(), expected);

    let plain = mad(Message::Req(request())).unwrap();
    let path = Path { local_lid: 0x1234, ..request().primary };
    for (change, at, bits) in [
        (Req { transport: Service::Unreliable, ..request() }, 43, 1 << 1),
        (Req { flow_control: true, ..request() }, 43, 1),
        (Req { rdc_exists: true, ..request() }, 50, 1 << 3),
        (Req { shared_receive_queue: true, ..request() }, 51, 1 << 3),
        (Req { extended_transport: 1, ..request() }, 51, 1),
        (Req { remote_eecn: 0x80_0000, ..request() }, 40, 0x80),
        (Req { local_eecn: 0x80_0000, ..request() }, 36, 0x80),
        (Req { primary: Path { subnet_local: true, ..request().primary }, ..request() }, 94, 8),
        (Req { primary: Path { service_level: 1, ..request().primary }, ..request() }, 94, 16),
        (Req { primary: Path { packet_rate: 1, ..request().primary }, ..request() }, 91, 1),
        (Req { primary: Path { flow_label: 1, ..request().primary }, ..request() }, 90, 16),
    ] {
        let mut expected = plain;
        expected[24 + at] |= bits;
        assert_eq!(mad(Message::Req(change)).unwrap(), expected, "byte {at}");
    }
    let both = mad(Message::Req(Req { alternate: Some(path), ..request() })).unwrap();
    assert_eq!(both[24 + 96..][..2], [0x12, 0x34]);
    assert_eq!(both[24 + 98..24 + 140], both[24 + 54..24 + 96]);
}

#[test]
fn ip_headers_of_connection_messages() {
    let [source, destination] = [envelope(V4).source, envelope(V6).destination];
    let mut bytes = [0; IpHeader::LENGTH];
    let mixed = IpHeader { source, source_port: 1, destination };
    assert_eq!(mixed.emit(&mut bytes), Err(Error::MixedFamilies));
    IpHeader { destination: source, ..mixed }.emit(&mut bytes).unwrap();
    for length in 0..IpHeader::LENGTH {
        assert_eq!(IpHeader::parse(&bytes[..length]), Err(Error::Truncated));
    }
    let changed = |at: usize, value: u8| {
        let mut bytes = bytes;
        bytes[at] = value;
        IpHeader::parse(&bytes).err()
    };
    assert_eq!(changed(0, 1), Some(Error::ReservedValue));
    for family in (0..16).filter(|family| ![4, 6].contains(family)) {
        assert_eq!(changed(1, family << 4), Some(Error::IpVersion));
    }
}

#[test]
fn service_ids() {
    assert_eq!(ServiceId::ip(PortSpace::Tcp, 7174), ServiceId(0x0106_1c06));
    assert_eq!(ServiceId::ip(PortSpace::Udp, 7174), ServiceId(0x0111_1c06));
    assert_eq!(ServiceId::ip(PortSpace::Any, 7471), ServiceId(0x013f_1d2f));
    for space in [PortSpace::Tcp, PortSpace::Udp, PortSpace::Any] {
        assert_eq!(ServiceId::ip(space, 0xffff).to_ip(), Some((space, 0xffff)));
    }
    for other in [0, 0x0102_0001, 0x1_0106_1c06, u64::MAX] {
        assert_eq!(ServiceId(other).to_ip(), None);
    }
}

/// Bytes that begin like a packet: otherwise hardly any would get past the first check.
fn packet_like() -> impl Strategy<Value = Vec<u8>> {
    let addresses = prop_oneof![Just((V4, 28)), Just((V6, 48))];
    (addresses, any::<u8>(), vec(any::<u8>(), 0..300), vec((any::<usize>(), any::<u8>()), 0..4))
        .prop_map(|((addresses, at), opcode, rest, changes)| {
            let mut packet = resized(send(addresses, b""), at, 16 + rest.len());
            packet[at] = opcode & 0x7f;
            packet[at + 12..at + 12 + rest.len()].copy_from_slice(&rest);
            let mut packet = sealed(packet);
            for (place, value) in changes {
                let length = packet.len();
                packet[place % length] = value;
            }
            packet
        })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn anything_is_parsed_or_refused(bytes in prop_oneof![vec(any::<u8>(), 0..300), packet_like()]) {
        let _ = is_roce(&bytes);
        let whole = Packet::parse(&bytes);
        let datagram = Datagram::parse(&bytes);
        let steps = datagram.and_then(Unverified::parse).and_then(Unverified::verify);
        prop_assert_eq!(whole, steps);
        if let Ok(datagram) = datagram {
            let _ = Mad::parse(datagram.payload());
            prop_assert!(is_roce(&bytes));
        }
        if let Ok(packet) = whole {
            prop_assert_eq!(packet.extension().layout(), packet.bth().opcode.layout());
            prop_assert!(packet.payload().len() <= bytes.len());
        }
        if let Some(route) = bytes.first_chunk() {
            let route = GlobalRoute::from_bytes(*route);
            let _ = (route.source(), route.destination());
        }
    }

    #[test]
    fn any_management_datagram_is_parsed_or_refused(
        attribute in 0x0fu8..0x1a,
        message in vec(any::<u8>(), 232),
        reserved: [bool; 3],
    ) {
        let mut bytes = [0; 256];
        bytes[..4].copy_from_slice(&[1, 7, 2, 3]);
        bytes[17] = attribute;
        bytes[24..].copy_from_slice(&message);
        // Without reserved values every now and then.
        if reserved[0] { bytes[24 + 43] &= 0xfb }
        if reserved[1] { bytes[24 + 50] = 0x37 }
        if reserved[2] { bytes[24 + 9] = 0x40 }
        if let Ok(mad) = Mad::parse(&bytes) {
            // Reserved bits are lost the first time, and nothing the second.
            let mut again = [0xa5; 256];
            mad.emit(&mut again).unwrap();
            prop_assert_eq!(Mad::parse(&again), Ok(mad));
            if let Message::Req(Req { private_data, .. })
                | Message::SidrReq(SidrReq { private_data, .. }) = mad.message
            {
                let _ = IpHeader::parse(private_data);
            }
        }
    }
}
