//! Our images, with Linux peers and with each other.

use reflex_qemu::peer::Session;
use reflex_qemu::protocol::Protocol;

use super::{Lab, PATIENCE, ok};
use crate::guest::Guest;

/// An `rping` server that listens.
fn rping_server(lab: &Lab, number: u8) -> Guest {
    let mut image = lab.image("rping", lab.station(number), "");
    image.running.wait_for_text("rping server at port", PATIENCE).unwrap();
    image
}

/// Linux pings `count` times with `size` bytes, and checks what comes back.
fn linux_pings(linux: &mut Session, address: &str, count: usize, size: usize) {
    let ended = linux.run(&format!("rping -c -a {address} -V -v -C {count} -S {size}"), PATIENCE);
    let ended = ended.unwrap_or_else(|error| panic!("{error:#}"));
    // At its end the program closes the channel that another of its threads may just ask for events;
    // that thread then says so, and by the status.
    let raced =
        ended.status == 255 && ended.output.contains("rdma_get_cm_event: Bad file descriptor");
    assert!(ended.status == 0 || raced, "status {}: {}", ended.status, ended.output);
    for number in 0..count {
        assert!(
            ended.output.contains(&format!("ping data: rdma-ping-{number}: ")),
            "{}",
            ended.output
        );
    }
}

/// An image pings, and checks what comes back.
fn image_pings(lab: &Lab, number: u8, words: &str) {
    let outcome = lab.image("rping", lab.station(number), words).finish();
    assert!(outcome.status.success(), "{}\n{}", outcome.status, outcome.tail(30));
}

#[test]
fn linux_pings_an_image() {
    let Some(lab) = Lab::open() else { return };
    let image = rping_server(&lab, 2);
    let mut linux = lab.linux(lab.station(1));
    for address in ["10.88.0.2", "fd88::2"] {
        linux_pings(&mut linux, address, 50, 100);
        linux_pings(&mut linux, address, 10, 65_000);
    }
    image.stop();
}

/// The ping-pongs of libibverbs: what Linux is to be started with, and what an image.
const PINGPONGS: [(&str, &str); 4] = [
    ("ibv_rc_pingpong -g 1 -n 200", "transport=rc count=200"),
    ("ibv_uc_pingpong -g 1 -n 200", "transport=uc count=200"),
    ("ibv_ud_pingpong -g 1 -n 200 -s 1000", "transport=ud count=200 size=1000"),
    ("ibv_srq_pingpong -g 1 -n 200 -q 8", "srq queue-pairs=8 count=200"),
];

/// A server of a ping-pong that listens.
fn pingpong_server(lab: &Lab, words: &str) -> Guest {
    let mut image = lab.image("rdma-pingpong", lab.station(2), words);
    image.running.wait_for_listen(Protocol::Tcp, 18515, PATIENCE).unwrap();
    image
}

#[test]
fn linux_plays_ping_pong_with_an_image() {
    let Some(lab) = Lab::open() else { return };
    let mut linux = lab.linux(lab.station(1));
    for (command, words) in PINGPONGS {
        let image = pingpong_server(&lab, words);
        let printed = ok(linux.run(&format!("{command} 10.88.0.2"), PATIENCE));
        assert!(printed.contains(" iters in "), "{printed}");
        let outcome = image.finish();
        assert!(outcome.status.success(), "{}\n{}", outcome.status, outcome.tail(30));
    }
    // One lost packet in a hundred; a megabyte in all.
    linux.lose(1.0).unwrap();
    let image = pingpong_server(&lab, "transport=rc count=128");
    ok(linux.run("ibv_rc_pingpong -g 1 -n 128 10.88.0.2", PATIENCE));
    let outcome = image.finish();
    assert!(outcome.status.success(), "{}\n{}", outcome.status, outcome.tail(30));
}

/// What fills every queue between the two, on whatever machine: many small messages of many queue pairs, as
/// many as Linux plays when it is told nothing, and few large ones.
#[test]
fn linux_plays_ping_pong_with_all_it_has() {
    let Some(lab) = Lab::open() else { return };
    let mut linux = lab.linux(lab.station(1));
    for (command, words) in [
        ("ibv_srq_pingpong -g 1", "srq"),
        ("ibv_rc_pingpong -g 1 -s 1048576 -n 20", "size=1048576 count=20 rx-depth=8"),
    ] {
        let image = pingpong_server(&lab, words);
        let printed = ok(linux.run(&format!("{command} 10.88.0.2"), PATIENCE));
        assert!(printed.contains(" iters in "), "{printed}");
        let outcome = image.finish();
        assert!(outcome.status.success(), "{}\n{}", outcome.status, outcome.tail(30));
    }
}

/// Where the two were told different things, both end, and say so.
#[test]
fn a_mismatch_ends_on_both_sides() {
    let Some(lab) = Lab::open() else { return };
    let mut linux = lab.linux(lab.station(1));
    for (options, words) in [
        ("-m 256", "count=10"),
        ("-s 2048", "count=10 size=4096"),
        ("-s 8192", "count=10 size=4096"),
    ] {
        let image = pingpong_server(&lab, words);
        let command = format!("ibv_rc_pingpong -g 1 -n 10 {options} 10.88.0.2");
        let ended = linux.run(&command, PATIENCE).unwrap();
        assert!(ended.status != 0 && ended.output.contains("Failed status"), "{ended:?}");
        let outcome = image.finish();
        assert!(!outcome.status.success(), "{options}: {}", outcome.tail(30));
    }
}

#[test]
fn an_image_plays_ping_pong_with_linux() {
    let Some(lab) = Lab::open() else { return };
    let mut linux = lab.linux(lab.station(1));
    for (command, words) in PINGPONGS {
        let listener = linux.start(command).unwrap();
        linux.wait_for_tcp(18515).unwrap();
        let words = format!("client=10.88.0.1 {words}");
        let outcome = lab.image("rdma-pingpong", lab.station(2), &words).finish();
        assert!(outcome.status.success(), "{}\n{}", outcome.status, outcome.tail(30));
        ok(linux.wait(listener, PATIENCE));
    }
}

#[test]
fn an_image_pings_linux() {
    let Some(lab) = Lab::open() else { return };
    let mut linux = lab.linux(lab.station(1));
    for address in ["10.88.0.1", "fd88::1"] {
        let command = format!("rping -s -a {address} -V -S 5000 -C 50");
        let listener = linux.start(&command).unwrap();
        linux.wait_for_cm(7174).unwrap();
        image_pings(&lab, 2, &format!("client={address} count=50 size=5000"));
        ok(linux.wait(listener, PATIENCE));
    }
}

#[test]
fn an_image_pings_an_image() {
    let Some(lab) = Lab::open() else { return };
    let image = rping_server(&lab, 1);
    image_pings(&lab, 2, "client=10.88.0.1 count=200 size=64");
    image_pings(&lab, 3, "client=fd88::1 count=20 size=65535");
    image.stop();
}

/// Every operation of reliable and unreliable connections, what goes wrong with them, receives that
/// come late or never, a shared receive queue, and 64 queue pairs at a time: the program on Linux
/// knows what has to come of each.
#[test]
fn an_image_does_all_that_a_verbs_program_asks_for() {
    let Some(lab) = Lab::open() else { return };
    for mtu in [1500, 4200] {
        let mut image = lab.image("guest-rdma", lab.station(2).mtu(mtu), "");
        image.running.wait_for_text("ready", PATIENCE).unwrap();
        let mut linux = lab.linux(lab.station(1).mtu(mtu));
        for address in ["10.88.0.2", "fd88::2"] {
            let printed = ok(linux.run(&format!("verbs client {address}"), PATIENCE));
            let passed = printed.lines().filter(|line| line.starts_with("ok ")).count();
            assert!(passed > 50 && passed == printed.lines().count(), "{printed}");
        }
        linux.kill();
        image.stop();
    }
}

/// A peer that dies leaves an error, in bounded time, and nothing else.
#[test]
fn a_peer_that_dies_is_noticed() {
    let Some(lab) = Lab::open() else { return };
    let mut server = rping_server(&lab, 1);
    let words = "client=10.88.0.1 count=1000000 size=64";
    let mut client = lab.image("rping", lab.station(2), words);
    client.running.wait_for_text("connected", PATIENCE).unwrap();
    server.running.wait_for_text("connected", PATIENCE).unwrap();
    server.stop();
    client.running.wait_for_text("the peer did not answer", PATIENCE).unwrap();
    let outcome = client.finish();
    assert!(!outcome.status.success(), "{}\n{}", outcome.status, outcome.tail(30));
}
