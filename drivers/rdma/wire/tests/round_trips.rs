//! What is written is read again, for every header, message and whole packet.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use reflex_rdma_wire::cm::*;
use reflex_rdma_wire::*;

fn psn() -> impl Strategy<Value = Psn> {
    any::<u32>().prop_map(Psn::new)
}

fn qpn() -> impl Strategy<Value = Qpn> {
    any::<u32>().prop_map(Qpn::new)
}

fn u24() -> impl Strategy<Value = u32> {
    0u32..1 << 24
}

fn reth() -> impl Strategy<Value = Reth> {
    (any::<u64>(), any::<u32>(), any::<u32>()).prop_map(|(address, key, length)| Reth {
        address,
        key: RKey(key),
        length,
    })
}

fn syndrome() -> impl Strategy<Value = Syndrome> {
    (any::<u8>()).prop_filter_map("reserved", Syndrome::from_bits)
}

fn aeth() -> impl Strategy<Value = Aeth> {
    (syndrome(), u24()).prop_map(|(syndrome, msn)| Aeth { syndrome, msn })
}

fn atomic() -> impl Strategy<Value = AtomicEth> {
    (any::<u64>(), any::<u32>(), any::<u64>(), any::<u64>()).prop_map(
        |(address, key, swap_or_add, compare)| AtomicEth {
            address,
            key: RKey(key),
            swap_or_add,
            compare,
        },
    )
}

fn deth() -> impl Strategy<Value = Deth> {
    (any::<u32>(), qpn()).prop_map(|(key, source)| Deth { key: QKey(key), source })
}

fn imm() -> impl Strategy<Value = ImmDt> {
    any::<[u8; 4]>().prop_map(ImmDt)
}

/// The extension headers of an opcode.
fn extension(layout: Layout) -> BoxedStrategy<Extension> {
    match layout {
        Layout::None => Just(Extension::None).boxed(),
        Layout::Immediate => imm().prop_map(Extension::Immediate).boxed(),
        Layout::Invalidate => {
            any::<u32>().prop_map(|key| Extension::Invalidate(Ieth(RKey(key)))).boxed()
        }
        Layout::Reth => reth().prop_map(Extension::Reth).boxed(),
        Layout::RethImmediate => {
            (reth(), imm()).prop_map(|(reth, imm)| Extension::RethImmediate(reth, imm)).boxed()
        }
        Layout::Aeth => aeth().prop_map(Extension::Aeth).boxed(),
        Layout::AethAtomicAck => (aeth(), any::<u64>())
            .prop_map(|(aeth, original)| Extension::AethAtomicAck(aeth, AtomicAckEth { original }))
            .boxed(),
        Layout::Atomic => atomic().prop_map(Extension::Atomic).boxed(),
        Layout::Deth => deth().prop_map(Extension::Deth).boxed(),
        Layout::DethImmediate => {
            (deth(), imm()).prop_map(|(deth, imm)| Extension::DethImmediate(deth, imm)).boxed()
        }
    }
}

fn opcode() -> impl Strategy<Value = Opcode> {
    proptest::sample::select(Opcode::ALL)
}

fn bth(opcode: Opcode) -> impl Strategy<Value = Bth> {
    (any::<[bool; 5]>(), any::<u16>(), qpn(), psn()).prop_map(
        move |([solicited, migrated, forward, backward, acknowledge], key, destination, psn)| Bth {
            opcode,
            solicited,
            migrated,
            forward_congestion: forward,
            backward_congestion: backward,
            partition: PKey(key),
            destination,
            acknowledge,
            psn,
        },
    )
}

/// Any address that is not a mapped IPv4 one, or any that is.
fn gids() -> impl Strategy<Value = (Gid, Gid)> {
    let v4 = || any::<[u8; 4]>().prop_map(Gid::from_ipv4_bytes);
    let v6 = || any::<[u8; 16]>().prop_map(Gid::from_bytes);
    prop_oneof![(v4(), v4()).boxed(), (v6(), v6()).boxed()]
}

fn envelope() -> impl Strategy<Value = Envelope> {
    let fields = (any::<u16>(), any::<u8>(), any::<u8>(), any::<u16>(), 0u32..1 << 20);
    (gids(), fields).prop_map(
        |((source, destination), (port, class, limit, identification, flow))| {
            let is_ipv4 = source.ipv4_bytes().is_some();
            Envelope {
                source,
                destination,
                source_port: port,
                traffic_class: class,
                hop_limit: limit,
                identification: if is_ipv4 { identification } else { 0 },
                flow_label: if is_ipv4 { 0 } else { flow },
            }
        },
    )
}

/// Everything an [`Emitter`] is given.
fn packet() -> impl Strategy<Value = (Envelope, Bth, Extension, Vec<u8>)> {
    opcode().prop_flat_map(|opcode| {
        let longest = if opcode.has_payload() { 4200 } else { 0 };
        (envelope(), bth(opcode), extension(opcode.layout()), vec(any::<u8>(), 0..=longest))
    })
}

proptest! {
    #[test]
    fn base_header(header in opcode().prop_flat_map(bth), pad in 0usize..4) {
        let mut bytes = [0xa5; Bth::LENGTH];
        header.emit(pad, &mut bytes);
        prop_assert_eq!(Bth::parse(&bytes), Ok((header, pad)));
    }

    #[test]
    fn single_headers(
        reth in reth(), aeth in aeth(), atomic in atomic(), original: u64, deth in deth(),
        imm in imm(), key: u32,
    ) {
        let mut bytes = [0xa5; Reth::LENGTH];
        reth.emit(&mut bytes);
        prop_assert_eq!(Reth::parse(&bytes), reth);

        let mut bytes = [0xa5; Aeth::LENGTH];
        aeth.emit(&mut bytes);
        prop_assert_eq!(Aeth::parse(&bytes), Ok(aeth));

        let mut bytes = [0xa5; AtomicEth::LENGTH];
        atomic.emit(&mut bytes);
        prop_assert_eq!(AtomicEth::parse(&bytes), atomic);

        let mut bytes = [0xa5; AtomicAckEth::LENGTH];
        AtomicAckEth { original }.emit(&mut bytes);
        prop_assert_eq!(AtomicAckEth::parse(&bytes), AtomicAckEth { original });

        let mut bytes = [0xa5; Deth::LENGTH];
        deth.emit(&mut bytes);
        prop_assert_eq!(Deth::parse(&bytes), deth);

        let mut bytes = [0xa5; ImmDt::LENGTH];
        imm.emit(&mut bytes);
        prop_assert_eq!(ImmDt::parse(&bytes), imm);

        let mut bytes = [0xa5; Ieth::LENGTH];
        Ieth(RKey(key)).emit(&mut bytes);
        prop_assert_eq!(Ieth::parse(&bytes), Ieth(RKey(key)));
    }

    #[test]
    fn extension_headers(
        extension in opcode().prop_flat_map(|opcode| extension(opcode.layout())),
    ) {
        let mut bytes = [0xa5; 28];
        extension.emit(&mut bytes).unwrap();
        let layout = extension.layout();
        prop_assert_eq!(Extension::parse(layout, &bytes), Ok(extension));
        prop_assert!(bytes[layout.length()..].iter().all(|byte| *byte == 0xa5));
        for length in 0..layout.length() {
            prop_assert_eq!(Extension::parse(layout, &bytes[..length]), Err(Error::Truncated));
            let mut short = [0; 28];
            prop_assert_eq!(extension.emit(&mut short[..length]), Err(Error::BufferTooShort));
        }
    }

    #[test]
    fn whole_packets((envelope, bth, extension, payload) in packet(), piece in 1usize..600) {
        let length = packet_length(&envelope, &extension, payload.len());
        let mut buffer = vec![0xa5; length + 5];
        let made = Emitter::new(&mut buffer, &envelope, &bth, &extension, payload.len());
        let mut emitter = made.unwrap();
        for piece in payload.chunks(piece) {
            emitter.append(piece).unwrap();
        }
        prop_assert_eq!(emitter.remaining(), 0);
        prop_assert_eq!(emitter.finish(), Ok(length));
        prop_assert_eq!(&buffer[length..], &[0xa5; 5]);

        prop_assert!(is_roce(&buffer));
        let packet = Packet::parse(&buffer).unwrap();
        prop_assert_eq!(packet.datagram().envelope(), envelope);
        prop_assert_eq!(packet.datagram().source(), envelope.source);
        prop_assert_eq!(packet.datagram().destination(), envelope.destination);
        prop_assert_eq!(packet.bth(), &bth);
        prop_assert_eq!(packet.extension(), &extension);
        prop_assert_eq!(packet.payload(), &payload[..]);
        prop_assert_eq!(packet.extension().reth().is_some(), matches!(extension.layout(),
            Layout::Reth | Layout::RethImmediate));
        prop_assert_eq!(packet.extension().immediate().is_some(),
            bth.opcode.notice() == Notice::Immediate);

        let route = GlobalRoute::of(packet.datagram());
        let route = GlobalRoute::from_bytes(*route.as_bytes());
        prop_assert_eq!(route.source(), Some(envelope.source));
        prop_assert_eq!(route.destination(), Some(envelope.destination));

        // The same around a payload that lies elsewhere.
        let mut headers = [0; 128];
        let made = emit_headers(&mut headers, &envelope, &bth, &extension, payload.len());
        let (end, mut icrc) = made.unwrap();
        for piece in payload.chunks(piece) {
            icrc = icrc.with(piece);
        }
        let trailer = Trailer::new(icrc, payload.len());
        let gathered = [&headers[..end], &payload, trailer.as_bytes()].concat();
        prop_assert_eq!(&gathered[..], &buffer[..length]);
    }

    #[test]
    fn a_buffer_too_short_is_refused(
        (envelope, bth, extension, payload) in packet(),
        short in any::<prop::sample::Index>(),
    ) {
        let length = packet_length(&envelope, &extension, payload.len());
        let mut buffer = vec![0; short.index(length)];
        let made = Emitter::new(&mut buffer, &envelope, &bth, &extension, payload.len());
        prop_assert_eq!(made.err(), Some(Error::BufferTooShort));
    }

    #[test]
    fn an_unfinished_packet_is_refused(
        (envelope, bth, extension, payload) in packet().prop_filter("payload", |p| !p.3.is_empty()),
        some in any::<prop::sample::Index>(),
    ) {
        let mut buffer = vec![0; packet_length(&envelope, &extension, payload.len())];
        let made = Emitter::new(&mut buffer, &envelope, &bth, &extension, payload.len());
        let mut emitter = made.unwrap();
        emitter.append(&payload[..some.index(payload.len())]).unwrap();
        let more = emitter.remaining() + 1;
        prop_assert_eq!(emitter.room(more).err(), Some(Error::PayloadLength));
        prop_assert_eq!(emitter.finish(), Err(Error::PayloadLength));
    }
}

fn timeout() -> impl Strategy<Value = AckTimeout> {
    (0u8..32).prop_map(AckTimeout::from_code)
}

fn id() -> impl Strategy<Value = CommId> {
    any::<u32>().prop_map(CommId)
}

fn path() -> impl Strategy<Value = Path> {
    let addresses = (any::<u16>(), any::<u16>(), any::<[u8; 16]>(), any::<[u8; 16]>());
    let rest = (0u32..1 << 20, 0u8..64, any::<u8>(), any::<u8>(), 0u8..16, any::<bool>());
    (addresses, rest, timeout()).prop_map(|(addresses, rest, ack_timeout)| {
        let (local_lid, remote_lid, local, remote) = addresses;
        let (flow_label, packet_rate, traffic_class, hop_limit, service_level, subnet_local) = rest;
        Path {
            local_lid: local_lid | 1,
            remote_lid,
            local: Gid::from_bytes(local),
            remote: Gid::from_bytes(remote),
            flow_label,
            packet_rate,
            traffic_class,
            hop_limit,
            service_level,
            subnet_local,
            ack_timeout,
        }
    })
}

fn mtu() -> impl Strategy<Value = PathMtu> {
    proptest::sample::select(&PathMtu::ALL[..])
}

fn req(private_data: &'static [u8]) -> impl Strategy<Value = Message<'static>> {
    let names = (id(), any::<u64>(), any::<u64>(), any::<u32>(), qpn(), u24(), u24());
    let depths = (any::<u8>(), any::<u8>(), timeout(), timeout(), mtu(), any::<u16>(), psn());
    let counts = (0u8..8, 0u8..8, 0u8..16, 0u8..8);
    let paths = (path(), option::of(path()));
    (names, depths, counts, paths, any::<[bool; 4]>()).prop_map(
        |(names, depths, counts, (primary, alternate), flags)| {
            let (local_id, service, ca_guid, qkey, qpn, local_eecn, remote_eecn) = names;
            let (responder_resources, initiator_depth, remote, local, mtu, key, psn) = depths;
            let (retries, rnr_retries, max_cm_retries, extended_transport) = counts;
            let [flow_control, rdc_exists, shared_receive_queue, unreliable] = flags;
            Message::Req(Req {
                local_id,
                service: ServiceId(service),
                ca_guid,
                qkey: QKey(qkey),
                qpn,
                responder_resources,
                initiator_depth,
                local_eecn,
                remote_eecn,
                remote_response_timeout: remote,
                transport: if unreliable { Service::Unreliable } else { Service::Reliable },
                flow_control,
                psn,
                local_response_timeout: local,
                retries,
                partition: PKey(key),
                mtu,
                rdc_exists,
                rnr_retries,
                max_cm_retries,
                shared_receive_queue,
                extended_transport,
                primary,
                alternate,
                private_data: &private_data[..Req::PRIVATE_DATA],
            })
        },
    )
}

fn rep(private_data: &'static [u8]) -> impl Strategy<Value = Message<'static>> {
    let names = (id(), id(), any::<u32>(), qpn(), u24(), psn(), any::<u64>());
    let rest = (any::<u8>(), any::<u8>(), timeout(), 0u8..4, 0u8..8, any::<[bool; 2]>());
    (names, rest).prop_map(|(names, rest)| {
        let (local_id, remote_id, qkey, qpn, local_eecn, psn, ca_guid) = names;
        let (responder_resources, initiator_depth, ack_delay, failover, rnr_retries, flags) = rest;
        let [flow_control, shared_receive_queue] = flags;
        Message::Rep(Rep {
            local_id,
            remote_id,
            qkey: QKey(qkey),
            qpn,
            local_eecn,
            psn,
            responder_resources,
            initiator_depth,
            ack_delay,
            failover,
            flow_control,
            rnr_retries,
            shared_receive_queue,
            ca_guid,
            private_data: &private_data[..Rep::PRIVATE_DATA],
        })
    })
}

fn received() -> impl Strategy<Value = Received> {
    prop_oneof![Just(Received::Req), Just(Received::Rep), Just(Received::Other)]
}

/// Any message, with the first bytes of `data` at its end.
fn message(data: &'static [u8]) -> impl Strategy<Value = Message<'static>> {
    let private = |length: usize| &data[..length];
    let info = move || (0..=Rej::INFO).prop_map(|length| &data[..length]);
    prop_oneof![
        req(data).boxed(),
        rep(data).boxed(),
        (id(), id(), received(), timeout()).prop_map(move |(local_id, remote_id, received, t)| {
            let private_data = private(Mra::PRIVATE_DATA);
            Message::Mra(Mra { local_id, remote_id, received, service_timeout: t, private_data })
        }),
        (id(), id(), received(), any::<u16>(), info()).prop_map(
            move |(local_id, remote_id, received, reason, info)| {
                let private_data = private(Rej::PRIVATE_DATA);
                let reason = RejectReason(reason);
                Message::Rej(Rej { local_id, remote_id, received, reason, info, private_data })
            }
        ),
        (id(), id()).prop_map(move |(local_id, remote_id)| {
            let private_data = private(Rtu::PRIVATE_DATA);
            Message::Rtu(Rtu { local_id, remote_id, private_data })
        }),
        (id(), id(), qpn()).prop_map(move |(local_id, remote_id, remote_qpn)| {
            let private_data = private(Dreq::PRIVATE_DATA);
            Message::Dreq(Dreq { local_id, remote_id, remote_qpn, private_data })
        }),
        (id(), id()).prop_map(move |(local_id, remote_id)| {
            let private_data = private(Drep::PRIVATE_DATA);
            Message::Drep(Drep { local_id, remote_id, private_data })
        }),
        (id(), any::<u16>(), any::<u64>()).prop_map(move |(request_id, key, service)| {
            Message::SidrReq(SidrReq {
                request_id,
                partition: PKey(key),
                service: ServiceId(service),
                private_data: private(SidrReq::PRIVATE_DATA),
            })
        }),
        (id(), any::<u8>(), qpn(), any::<u64>(), any::<u32>(), info()).prop_map(
            move |(request_id, status, qpn, service, qkey, info)| {
                Message::SidrRep(SidrRep {
                    request_id,
                    status: SidrStatus(status),
                    qpn,
                    service: ServiceId(service),
                    qkey: QKey(qkey),
                    info,
                    private_data: private(SidrRep::PRIVATE_DATA),
                })
            }
        ),
    ]
}

/// 224 bytes, the most private data any message has.
const DATA: &[u8] = &{
    let mut data = [0; Rtu::PRIVATE_DATA];
    let mut at = 0;
    while at < data.len() {
        data[at] = at as u8 ^ 0x35;
        at += 1;
    }
    data
};

proptest! {
    #[test]
    fn connection_messages(transaction: u64, message in message(DATA)) {
        let mut bytes = [0xa5; Mad::LENGTH];
        let mad = Mad { transaction, message };
        mad.emit(&mut bytes).unwrap();
        prop_assert_eq!(Mad::parse(&bytes), Ok(mad));
    }

    #[test]
    fn private_data_is_padded_with_zero(data in vec(any::<u8>(), 0..=Rtu::PRIVATE_DATA)) {
        let message =
            Message::Rtu(Rtu { local_id: CommId(1), remote_id: CommId(2), private_data: &data });
        let mut bytes = [0xa5; Mad::LENGTH];
        Mad { transaction: 3, message }.emit(&mut bytes).unwrap();
        let Ok(Mad { message: Message::Rtu(rtu), .. }) = Mad::parse(&bytes) else {
            return Err(TestCaseError::fail("no RTU"));
        };
        let (given, rest) = rtu.private_data.split_at(data.len());
        prop_assert_eq!(given, &data[..]);
        prop_assert!(rest.iter().all(|byte| *byte == 0));
        prop_assert_eq!(rtu.private_data.len(), Rtu::PRIVATE_DATA);
    }

    #[test]
    fn ip_headers((source, destination) in gids(), source_port: u16, rest in vec(any::<u8>(), 0..56)) {
        let header = IpHeader { source, source_port, destination };
        let mut bytes = [0xa5; IpHeader::LENGTH];
        header.emit(&mut bytes).unwrap();
        let private_data = [&bytes[..], &rest].concat();
        prop_assert_eq!(IpHeader::parse(&private_data), Ok((header, &rest[..])));
    }
}
