//! The responder of transports that answer nothing: what it drops, and how it counts it.

use crate::common;
use crate::responder::is_dropped;
use common::craft::Bench;
use common::link::Plan;
use reflex_rdma_engine::*;
use reflex_rdma_wire::*;

#[test]
fn an_unreliable_connection_drops_what_has_a_hole() {
    let plan = Plan { mtu: PathMtu::B256, ..Plan::new(Transport::Unreliable) };
    let mut bench = Bench::new(plan);
    let region = bench.receive(1000);
    let send = |bench: &mut Bench, opcode, psn| {
        let craft = bench.craft(opcode, psn);
        assert_eq!(bench.answer(&craft), None);
    };
    send(&mut bench, Opcode::UcSendFirst, 0);
    send(&mut bench, Opcode::UcSendLast, 2);
    assert_eq!(bench.refused(Refusal::Gap), 1);
    assert_eq!(bench.statuses(), []);
    // The rest of a message without its beginning.
    send(&mut bench, Opcode::UcSendMiddle, 3);
    send(&mut bench, Opcode::UcSendLast, 4);
    // The same receive serves the next that is whole, whatever its number.
    send(&mut bench, Opcode::UcSendOnly, 77);
    assert_eq!(bench.statuses(), [Status::Success]);
    assert_eq!(bench.memory(region)[..8], [7; 8]);
    // Without a receive it is lost.
    send(&mut bench, Opcode::UcSendOnly, 78);
    assert_eq!(bench.refused(Refusal::NoReceive), 1);
    send(&mut bench, Opcode::UcWriteMiddle, 79);
    assert_eq!(bench.state(), State::Rts);
}

#[test]
fn an_unreliable_connection_drops_messages_beyond_the_longest() {
    let mut bench = Bench::new(Plan::new(Transport::Unreliable));
    let craft = bench.craft(Opcode::UcWriteFirst, 0).reth(|reth| reth.length = MAX_MESSAGE + 1);
    is_dropped(&mut bench, &craft, Refusal::Length);
}

#[test]
fn an_unreliable_connection_drops_what_is_not_permitted() {
    let plan = Plan { mtu: PathMtu::B256, ..Plan::new(Transport::Unreliable) };
    let mut bench = Bench::new(plan);
    let craft = bench.craft(Opcode::UcWriteOnly, 0).reth(|reth| reth.key = RKey(0));
    is_dropped(&mut bench, &craft, Refusal::Access);
    bench.receive(4);
    let craft = bench.craft(Opcode::UcSendOnly, 1);
    is_dropped(&mut bench, &craft, Refusal::TooLong);
    let craft = bench.craft(Opcode::UcSendFirst, 2).payload(100);
    is_dropped(&mut bench, &craft, Refusal::Length);
    let craft = bench.craft(Opcode::UcSendLast, 3);
    assert_eq!(bench.answer(&craft), None);
    let craft = bench.craft(Opcode::UcSendMiddle, 99);
    is_dropped(&mut bench, &craft, Refusal::Gap);
    // The receive is still there.
    let craft = bench.craft(Opcode::UcSendOnly, 4).payload(4);
    assert_eq!(bench.answer(&craft), None);
    assert_eq!(bench.statuses(), [Status::Success]);
}

#[test]
fn a_message_that_begins_within_another_takes_its_place_on_an_unreliable_connection() {
    let plan = Plan { mtu: PathMtu::B256, ..Plan::new(Transport::Unreliable) };
    let mut bench = Bench::new(plan);
    bench.receive(1000);
    for (opcode, psn) in [(Opcode::UcSendFirst, 0), (Opcode::UcSendOnly, 1)] {
        let craft = bench.craft(opcode, psn);
        assert_eq!(bench.answer(&craft), None);
    }
    assert_eq!(bench.refused(Refusal::Sequence), 1);
    assert_eq!(bench.statuses(), [Status::Success]);
    let craft = bench.craft(Opcode::UcSendMiddle, 2);
    assert_eq!(bench.answer(&craft), None);
    assert_eq!(bench.refused(Refusal::Sequence), 2);
}

#[test]
fn a_datagram_needs_the_key_a_receive_and_room() {
    let plan = Plan { mtu: PathMtu::B256, ..Plan::new(Transport::Datagram) };
    let mut bench = Bench::new(plan);
    let craft = bench.craft(Opcode::UdSendOnly, 0);
    is_dropped(&mut bench, &craft, Refusal::NoReceive);
    bench.receive(47);
    is_dropped(&mut bench, &craft, Refusal::TooLong);
    let long = craft.clone().payload(4100);
    is_dropped(&mut bench, &long, Refusal::Length);
    let mut other = craft.clone();
    other.extension = Extension::Deth(Deth { key: QKey(1), source: Qpn::new(3) });
    is_dropped(&mut bench, &other, Refusal::Key);
    assert_eq!(bench.answer(&craft.payload(7)), None);
    assert_eq!(bench.statuses(), [Status::Success], "the receive was not used up");
    let completion = bench.link.sides[1].log.completions[0];
    assert_eq!((completion.length, completion.source), (47, Qpn::new(0x11)));
    assert!(completion.global_route);
    let route = bench.memory(Region(1))[..40].try_into().expect("forty bytes");
    assert_eq!(GlobalRoute::from_bytes(route).source(), Some(bench.plan.addresses()[0]));
}
