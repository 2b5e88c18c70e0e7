//! Options of all shapes (RFC 2132, 3396, 3442).

use crate::support::answer::{Answer, encoded};
use crate::support::script::Script;
use crate::support::sent::Sent;
use crate::support::{HOST, OTHER, SERVER, ip};
use reflex_dhcp::*;
use std::net::Ipv4Addr;

/// The parameters that come of offer and acknowledgement that say the same.
fn bound_by(change: impl Fn(Answer) -> Answer) -> Script {
    let mut script = Script::begin();
    script.acquire(|to: &Sent| change(Answer::offer(to)), |to: &Sent| change(Answer::ack(to)));
    script
}

fn parameters(script: &Script) -> Parameters {
    *script.client.parameters().expect("parameters")
}

/// RFC 2132, 3.5: in the order of preference.
#[test]
fn there_may_be_several_routers() {
    let script = bound_by(|answer| answer.with(3, [SERVER.octets(), OTHER.octets()].concat()));
    assert_eq!(script.gateways(), [SERVER, OTHER]);
    let many: Vec<u8> = (1..=9).flat_map(|last| ip(last).octets()).collect();
    let script = bound_by(|answer| answer.with(3, &many));
    assert_eq!(script.gateways(), [ip(1), ip(2), ip(3), ip(4)]);
    assert_eq!(script.odd(Oddity::TooMany), 2);
}

/// Routers that are none are left out, and so is the host itself; others stay.
#[test]
fn routers_that_are_none_are_left_out() {
    let list = [[0; 4], [255; 4], HOST.octets(), [127, 0, 0, 1], OTHER.octets()].concat();
    let script = bound_by(|answer| answer.with(3, &list));
    assert_eq!(script.gateways(), [OTHER]);
    assert_eq!(script.odd(Oddity::HostAddress), 8);
    let script = bound_by(|answer| answer.with(3, [10, 77, 0]));
    assert!(script.gateways().is_empty());
    assert_eq!(script.odd(Oddity::OptionIgnored), 2);
}

/// A gateway outside of the subnet, as clouds have it: it is on the link by definition.
#[test]
fn a_router_may_be_outside_of_the_subnet() {
    let far = Ipv4Addr::new(192, 0, 2, 1);
    let script = bound_by(|answer| answer.with(1, [255; 4]).with(3, far.octets()));
    assert_eq!((script.lease().prefix(), script.gateways()), (32, vec![far]));
}

/// RFC 1122, 3.2.1.3: without a mask the class has one.
#[test]
fn a_missing_mask_is_the_one_of_the_class() {
    for (address, prefix) in
        [([10, 1, 2, 3], 8), ([172, 16, 2, 3], 16), ([192, 168, 1, 3], 24), ([240, 0, 0, 9], 32)]
    {
        let script = bound_by(|answer| answer.without(1).address(address.into()));
        assert_eq!(script.lease().prefix(), prefix);
        assert_eq!(script.odd(Oddity::NoMask), 1);
    }
}

/// RFC 950, 2: ones, then zeros.
#[test]
fn a_mask_with_holes_does_not_count() {
    for mask in [[255, 0, 255, 0], [0, 255, 255, 255], [0; 4], [255, 255, 255, 1]] {
        let script = bound_by(|answer| answer.with(1, mask));
        assert_eq!((script.lease().prefix(), script.odd(Oddity::Mask)), (8, 2), "{mask:?}");
    }
    for prefix in 1..=32u32 {
        let mask = u32::MAX << (32 - prefix);
        let script = bound_by(|answer| answer.with(1, mask.to_be_bytes()));
        assert_eq!(u32::from(script.lease().prefix()), prefix);
    }
}

/// What the offer has said holds if the acknowledgement does not say it.
#[test]
fn a_mask_may_be_in_the_offer_alone() {
    let script = Script::bound_by(|to| Answer::ack(to).without(1).without(3));
    assert_eq!((script.lease().prefix(), script.gateways()), (24, vec![SERVER]));
}

/// RFC 3442: they replace the routers.
#[test]
fn classless_routes_replace_routers() {
    let routes = [
        &[0][..],
        &OTHER.octets(), // default
        &[24, 192, 0, 2],
        &ip(9).octets(),
        &[25, 198, 51, 100, 128],
        &ip(8).octets(),
        &[8, 10],
        &[0; 4], // on the link
        &[32, 203, 0, 113, 5],
        &ip(7).octets(),
    ]
    .concat();
    let script = bound_by(|answer| answer.with(121, &routes));
    assert_eq!(script.gateways(), [OTHER]);
    let route =
        |network: [u8; 4], prefix, router| Route { network: network.into(), prefix, router };
    let found: Vec<Route> = parameters(&script).routes.expect("routes").iter().collect();
    assert_eq!(
        found,
        [
            route([0; 4], 0, Some(OTHER)),
            route([192, 0, 2, 0], 24, Some(ip(9))),
            route([198, 51, 100, 128], 25, Some(ip(8))),
            route([10, 0, 0, 0], 8, None),
            route([203, 0, 113, 5], 32, Some(ip(7))),
        ]
    );
    // Without one to everywhere there is no gateway, router or not.
    let script = bound_by(|answer| answer.with(121, [24, 192, 0, 2, 10, 77, 0, 9]));
    assert!(script.gateways().is_empty());
}

/// RFC 3442: bits of the network behind the prefix do not count.
#[test]
fn routes_are_cut_to_their_prefix() {
    let script = bound_by(|answer| answer.with(121, [20, 192, 168, 0xff, 10, 77, 0, 9]));
    let route = parameters(&script).routes.and_then(|routes| routes.first()).expect("a route");
    assert_eq!((route.network, route.prefix), (Ipv4Addr::new(192, 168, 0xf0, 0), 20));
}

/// Half a table is worse than none: then the routers count.
#[test]
fn malformed_routes_do_not_count() {
    for bytes in [
        &[][..],
        &[33, 1, 2, 3, 4, 10, 77, 0, 9],
        &[24, 192, 0, 2, 10, 77, 0],
        &[24],
        &[24, 192, 0, 2, 255, 255, 255, 255],
        &[24, 192, 0, 2, 10, 77, 0, 9, 16],
    ] {
        let script = bound_by(|answer| answer.with(121, bytes));
        assert_eq!(script.gateways(), [SERVER], "{bytes:?}");
        assert_eq!(script.odd(Oddity::Routes), 2);
    }
}

/// RFC 3396, 5: what is longer than 255 bytes comes in pieces, cut anywhere.
#[test]
fn options_in_pieces_are_put_together() {
    let route = |number: u8| [24, 172, 16, number, 10, 77, 0, 9];
    let long: Vec<u8> = (0..16).flat_map(route).collect();
    let script = bound_by(|answer| {
        let (first, rest) = long.split_at(101);
        answer.and(121, first).and(6, OTHER.octets()).and(121, rest)
    });
    let routes: Vec<Route> = parameters(&script).routes.expect("routes").iter().collect();
    assert_eq!(routes.len(), 16);
    assert!((0u8..).zip(&routes).all(|(number, route)| route.network.octets()[2] == number));
    assert_eq!(parameters(&script).name_servers.map(|servers| servers.len()), Some(1));

    let more: Vec<u8> = (0..40).flat_map(route).collect();
    let script =
        bound_by(|answer| more.chunks(200).fold(answer, |answer, piece| answer.and(121, piece)));
    assert_eq!(parameters(&script).routes.map(|routes| routes.len()), Some(MOST_ROUTES));
    assert_eq!(script.odd(Oddity::TooMany), 2);
}

/// RFC 2132, 9.3: the fields for a file and a server's name hold options.
#[test]
fn options_may_lie_in_other_fields() {
    let (mask, router) = ((1, vec![255, 255, 255, 0]), (3, SERVER.octets().to_vec()));
    let field =
        |option: &(u8, Vec<u8>)| [encoded(std::slice::from_ref(option)), vec![255]].concat();
    for (overload, file, sname) in [
        (1, [encoded(std::slice::from_ref(&mask)), field(&router)].concat(), vec![]),
        (2, vec![], [encoded(std::slice::from_ref(&mask)), field(&router)].concat()),
        (3, field(&mask), field(&router)),
        (3, field(&router), field(&mask)),
    ] {
        let script = bound_by(|answer| {
            let answer = answer.without(1).without(3).with(52, [overload]);
            Answer { file: file.clone(), sname: sname.clone(), ..answer }
        });
        assert_eq!((script.lease().prefix(), script.gateways()), (24, vec![SERVER]));
        assert_eq!(script.odd(Oddity::NoEnd), 0);
    }
}

/// RFC 3396, 5: first the options, then the file, then the server's name.
#[test]
fn pieces_in_other_fields_have_their_order() {
    let script = bound_by(|answer| {
        let answer = answer.with(52, [3]).with(121, [24, 192]);
        let file = vec![121, 2, 0, 2, 255];
        let sname = vec![0, 121, 4, 10, 77, 0, 9, 255];
        Answer { file, sname, ..answer }
    });
    let route = parameters(&script).routes.and_then(|routes| routes.first()).expect("a route");
    assert_eq!((route.network, route.router), (Ipv4Addr::new(192, 0, 2, 0), Some(ip(9))));
}

/// Without the overload option they hold text.
#[test]
fn text_in_other_fields_is_not_read() {
    let script = bound_by(|answer| {
        let field = vec![1, 4, 255, 0, 0, 0, 3, 4, 1, 2, 3, 4, 250, 250];
        Answer { file: field.clone(), sname: field, ..answer }
    });
    assert_eq!((script.lease().prefix(), script.gateways()), (24, vec![SERVER]));
    for overload in [vec![0], vec![4], vec![], vec![1, 1]] {
        let script = bound_by(|answer| {
            let answer = answer.with(52, &overload);
            Answer { file: vec![3, 200], ..answer }
        });
        assert_eq!(script.odd(Oddity::Overload), 2, "{overload:?}");
    }
}

/// The overload option in an overloaded field is none.
#[test]
fn overloading_does_not_go_on() {
    let script = bound_by(|answer| {
        let answer = answer.with(52, [1]);
        Answer { file: vec![52, 1, 2, 255], sname: vec![3, 200, 1], ..answer }
    });
    assert_eq!(script.gateways(), [SERVER]);
}

/// RFC 2131, 4.1: an option that comes twice is put together; what has one value then has the first.
#[test]
fn a_repeated_option_counts_once() {
    let script = bound_by(|answer| answer.and(1, [255, 255, 0, 0]));
    assert_eq!((script.lease().prefix(), script.odd(Oddity::Repeated)), (24, 2));
    let script = bound_by(|answer| answer.and(1, [255, 255, 0]));
    assert_eq!((script.lease().prefix(), script.odd(Oddity::OptionIgnored)), (8, 2));
    // Lists are longer.
    let script = bound_by(|answer| answer.and(3, OTHER.octets()));
    assert_eq!(script.gateways(), [SERVER, OTHER]);
}

/// Where the message's meaning is in doubt, it has none.
#[test]
fn a_repeated_essential_is_refused() {
    let mut script = Script::begin();
    let discover = script.leaves(Kind::Discover);
    for (code, value) in [(53, vec![6]), (54, OTHER.octets().to_vec()), (51, vec![0, 0, 0, 9])] {
        script.refuses(&Answer::offer(&discover).and(code, value), Error::OptionLength);
    }
}

#[test]
fn options_of_wrong_lengths_do_not_count() {
    for (code, value) in
        [(1, vec![255; 3]), (6, vec![]), (6, vec![1; 7]), (26, vec![5]), (58, vec![0; 3])]
    {
        let script = bound_by(|answer| answer.without(code).with(code, &value));
        assert_eq!(script.odd(Oddity::OptionIgnored), 2, "{code}");
        script.stands(Standing::Bound);
    }
    let mut script = Script::begin();
    let discover = script.leaves(Kind::Discover);
    for code in [51, 53, 54] {
        for length in [0, 3, 5] {
            let offer = Answer::offer(&discover).with(code, vec![0; length]);
            script.refuses(&offer, Error::OptionLength);
        }
    }
}

#[test]
fn unknown_options_do_not_matter() {
    let script = bound_by(|answer| {
        (60..=254)
            .filter(|code| ![61, 121].contains(code))
            .fold(answer, |answer, code| answer.with(code, vec![code; usize::from(code % 5)]))
    });
    assert_eq!(script.gateways(), [SERVER]);
}

/// An end mark ends the options, pad bytes are nothing, and a missing end is counted.
#[test]
fn padding_and_end_marks_are_as_they_are() {
    let script = bound_by(|mut answer| {
        answer.tail = [vec![0; 60], vec![6, 4], ip(8).octets().to_vec(), vec![255]].concat();
        answer
    });
    assert_eq!(parameters(&script).name_servers.and_then(|servers| servers.first()), Some(ip(8)));
    let script = bound_by(|mut answer| {
        answer.tail = vec![255, 6, 4, 9, 9];
        answer
    });
    assert_eq!((parameters(&script).name_servers, script.odd(Oddity::NoEnd)), (None, 0));
    for tail in [vec![], vec![0; 3]] {
        let script = bound_by(|mut answer| {
            answer.tail = tail.clone();
            answer
        });
        assert_eq!(script.odd(Oddity::NoEnd), 2);
    }
}

/// What ends beyond its field may have been meant as anything: the whole message is refused.
#[test]
fn an_option_beyond_its_field_is_refused() {
    let mut script = Script::begin();
    let discover = script.leaves(Kind::Discover);
    for tail in [vec![6], vec![6, 1], vec![6, 4, 1, 2, 3], vec![0, 0, 77, 255]] {
        let answer = Answer { tail, ..Answer::offer(&discover) };
        script.refuses(&answer, Error::OptionBeyondEnd);
    }
    let answer = Answer::offer(&discover).with(52, [1]);
    let mut file = vec![0; 126];
    file.extend([6, 4]);
    script.refuses(&Answer { file, ..answer }, Error::OptionBeyondEnd);
}

/// RFC 2132, 5.1: 68 at least; but every host takes 576 (RFC 791, 3.1), and less is a nuisance.
#[test]
fn the_mtu_is_told_unless_it_is_a_nuisance() {
    for (mtu, told) in [(1500u16, true), (9000, true), (576, true), (575, false), (68, false)] {
        let script = bound_by(|answer| answer.with(26, mtu.to_be_bytes()));
        assert_eq!(parameters(&script).mtu, told.then_some(mtu));
        assert_eq!(script.odd(Oddity::Mtu), if told { 0 } else { 2 });
    }
}

/// RFC 2132, 3.17: a name, which some servers end with a NUL.
#[test]
fn the_domain_is_told_if_it_is_one() {
    for (text, domain) in [
        ("example.org", Some("example.org")),
        ("example.org\0", Some("example.org")),
        ("example.org.", Some("example.org")),
        ("$(reboot).org", None),
        ("two names", None),
        ("a..b", None),
        ("", None),
        ("\0", None),
    ] {
        let script = bound_by(|answer| answer.with(15, text));
        let found = parameters(&script).domain;
        assert_eq!(found.as_ref().map(Name::as_str), domain, "{text:?}");
        assert_eq!(script.odd(Oddity::Name), if domain.is_some() { 0 } else { 2 });
    }
}

/// RFC 2132, 3.8.
#[test]
fn name_servers_are_told() {
    let list = [[0; 4], OTHER.octets(), [9, 9, 9, 9], [224, 0, 0, 1]].concat();
    let script = bound_by(|answer| answer.with(6, &list));
    let servers: Vec<_> = parameters(&script).name_servers.expect("servers").iter().collect();
    assert_eq!(servers, [OTHER, Ipv4Addr::new(9, 9, 9, 9)]);
}

/// RFC 6842: a server that repeats a client identifier repeats this client's.
#[test]
fn a_reply_for_another_identifier_is_refused() {
    let mut script = Script::begin();
    let discover = script.leaves(Kind::Discover);
    let own = discover.option(61).expect("an identifier").to_vec();
    let mut other = own.clone();
    other[14] ^= 1;
    script.refuses(&Answer::offer(&discover).with(61, &other), Error::OtherClient);
    script.refuses(&Answer::offer(&discover).with(61, &own[1..]), Error::OtherClient);
    script.refuses(&Answer::offer(&discover).with(61, []), Error::OtherClient);
    script.arrives(&Answer::offer(&discover).with(61, &own));
    script.leaves(Kind::Request);
}
