//! Programs of librdmacm, libfabric and qperf, with either side on Linux.

use super::{Lab, PATIENCE, ok};
use crate::guest::Guest;
use reflex_qemu::peer::Session;
use reflex_qemu::protocol::Protocol;

/// Where a server is waited for.
#[derive(Clone, Copy)]
enum Listens {
    Tcp(u16),
    Cm(u16),
}

/// What Linux is started with (`{}` is the server's address, for a client), what an image is asked for, and where
/// either side listens.
struct Game<'a> {
    linux: &'a str,
    image: &'a str,
    listens: Listens,
}

const fn game(linux: &'static str, image: &'static str, listens: Listens) -> Game<'static> {
    Game { linux, image, listens }
}

const UCMATOSE: [Game<'static>; 2] = [
    game("ucmatose -s {}", "program=ucmatose", Listens::Cm(7471)),
    game(
        "ucmatose -c 8 -C 20 -S 5000 -s {}",
        "program=ucmatose connections=8 count=20 size=5000",
        Listens::Cm(7471),
    ),
];
const UDADDY: [Game<'static>; 2] = [
    game("udaddy -s {}", "program=udaddy", Listens::Cm(7174)),
    game(
        "udaddy -c 4 -C 20 -S 1000 -s {}",
        "program=udaddy connections=4 count=20 size=1000",
        Listens::Cm(7174),
    ),
];
const CMTIME: Game<'static> =
    game("cmtime -c 20 -s {}", "program=cmtime connections=20", Listens::Cm(7471));
const RSTREAM: [Game<'static>; 2] = [
    game(
        "rstream -S 64 -C 20 -I 5 -s {}",
        "program=rstream size=64 count=20 iterations=5",
        Listens::Cm(7471),
    ),
    game(
        "rstream -S 16384 -C 30 -I 4 -s {}",
        "program=rstream size=16384 count=30 iterations=4",
        Listens::Cm(7471),
    ),
];
const FI_PINGPONG: [Game<'static>; 2] = [
    game("fi_pingpong -p verbs -e msg -I 10 {}", "program=fi_pingpong", Listens::Tcp(47592)),
    game(
        "fi_pingpong -p verbs -e msg -I 100 -S 64 {}",
        "program=fi_pingpong count=100 size=64",
        Listens::Tcp(47592),
    ),
];
const QPERF: [&str; 8] = [
    "rc_lat",
    "rc_bw",
    "rc_rdma_write_lat",
    "rc_rdma_write_bw",
    "rc_rdma_write_poll_lat",
    "rc_rdma_read_lat",
    "rc_rdma_read_bw",
    "rc_fetch_add_mr",
];

/// An image that listens.
fn server(lab: &Lab, game: &Game) -> Guest {
    let mut image = lab.image("rdma-world", lab.station(2), game.image);
    match game.listens {
        Listens::Tcp(port) => {
            image.running.wait_for_listen(Protocol::Tcp, port, PATIENCE).unwrap();
        }
        Listens::Cm(port) => {
            let text = format!("ready at port {port}");
            image.running.wait_for_text(&text, PATIENCE).unwrap();
        }
    }
    image
}

/// An image that ends well: what it has said.
fn finish(image: Guest) -> String {
    let outcome = image.finish();
    assert!(outcome.status.success(), "{}\n{}", outcome.status, outcome.tail(30));
    outcome.tail(30)
}

/// Linux is the client: what both have said.
fn linux_asks(lab: &Lab, linux: &mut Session, game: &Game) -> (String, String) {
    let image = server(lab, game);
    let printed = ok(linux.run(&game.linux.replace("{}", "10.88.0.2"), PATIENCE));
    (printed, finish(image))
}

/// The image is the client: what both have said.
fn an_image_asks(lab: &Lab, linux: &mut Session, game: &Game) -> (String, String) {
    let command = game.linux.replace("-s {}", "").replace("{}", "");
    let listener = linux.start(&command).unwrap();
    match game.listens {
        Listens::Tcp(port) => linux.wait_for_tcp(port),
        Listens::Cm(port) => linux.wait_for_cm(port),
    }
    .unwrap();
    let words = format!("{} peer=10.88.0.1", game.image);
    let said = finish(lab.image("rdma-world", lab.station(2), &words));
    (ok(linux.wait(listener, PATIENCE)), said)
}

#[test]
fn ucmatose_talks_to_an_image() {
    let Some(lab) = Lab::open() else { return };
    let mut linux = lab.linux(lab.station(1));
    for game in &UCMATOSE {
        for play in [linux_asks, an_image_asks] {
            let (printed, said) = play(&lab, &mut linux, game);
            assert!(printed.contains("return status 0"), "{printed}");
            assert!(said.contains("messages over each of"), "{said}");
        }
    }
}

#[test]
fn udaddy_finds_an_image_and_is_found() {
    let Some(lab) = Lab::open() else { return };
    let mut linux = lab.linux(lab.station(1));
    for game in &UDADDY {
        for play in [linux_asks, an_image_asks] {
            let (printed, said) = play(&lab, &mut linux, game);
            assert!(printed.contains("return status 0"), "{printed}");
            assert!(said.contains("datagrams by each of"), "{said}");
        }
    }
}

#[test]
fn cmtime_makes_connections_with_an_image() {
    let Some(lab) = Lab::open() else { return };
    let mut linux = lab.linux(lab.station(1));
    let (printed, said) = linux_asks(&lab, &mut linux, &CMTIME);
    assert!(printed.contains("disconnect"), "{printed}");
    assert!(said.contains("20 connections came and went"), "{said}");
    // Linux's server takes connections for ever.
    let listener = linux.start("cmtime -b 10.88.0.1").unwrap();
    linux.wait_for_cm(7471).unwrap();
    let words = format!("{} peer=10.88.0.1", CMTIME.image);
    let said = finish(lab.image("rdma-world", lab.station(2), &words));
    assert!(said.contains("us to connect"), "{said}");
    linux.stop(listener).map(drop).unwrap();
}

#[test]
fn rstream_streams_to_and_from_an_image() {
    let Some(lab) = Lab::open() else { return };
    let mut linux = lab.linux(lab.station(1));
    for game in &RSTREAM {
        for play in [linux_asks, an_image_asks] {
            let (_, said) = play(&lab, &mut linux, game);
            assert!(said.contains("KB/s"), "{said}");
        }
    }
}

/// The CRC-32 of a file on Linux.
fn checksum(linux: &mut Session, file: &str) -> String {
    let printed = ok(linux.run(&format!("busybox crc32 {file}"), PATIENCE));
    printed.split_whitespace().next().expect("a checksum").to_owned()
}

#[test]
fn rcopy_copies_to_and_from_an_image() {
    let Some(lab) = Lab::open() else { return };
    let mut linux = lab.linux(lab.station(1));
    ok(linux.run("busybox dd if=/dev/urandom of=/tmp/given bs=1000 count=300", PATIENCE));
    let expected = checksum(&mut linux, "/tmp/given");
    let to = game("rcopy /tmp/given {}:/tmp/file", "program=rcopy", Listens::Cm(7427));
    let (_, said) = linux_asks(&lab, &mut linux, &to);
    assert!(said.contains(&format!("received 300000 bytes with the CRC {expected}")), "{said}");
    // Linux's server serves for ever.
    let listener = linux.start("rcopy").unwrap();
    linux.wait_for_cm(7427).unwrap();
    let words = "program=rcopy size=200000 peer=10.88.0.1";
    let said = finish(lab.image("rdma-world", lab.station(2), words));
    let copied = checksum(&mut linux, "/tmp/file");
    assert!(said.contains(&format!("sent 200000 bytes with the CRC {copied}")), "{said}");
    linux.stop(listener).map(drop).unwrap();
}

#[test]
fn fi_pingpong_plays_with_an_image() {
    let Some(lab) = Lab::open() else { return };
    let mut linux = lab.linux(lab.station(1));
    // Its server asks what the machine's name stands for.
    ok(linux.run("echo 127.0.0.1 localhost > /etc/hosts; busybox hostname localhost", PATIENCE));
    for game in &FI_PINGPONG {
        let (printed, said) = linux_asks(&lab, &mut linux, game);
        assert!(printed.contains("usec/xfer"), "{printed}");
        assert!(said.contains("messages were answered"), "{said}");
        let (_, said) = an_image_asks(&lab, &mut linux, game);
        assert!(said.contains("usec/xfer"), "{said}");
    }
}

#[test]
fn qperf_measures_an_image_and_is_measured() {
    let Some(lab) = Lab::open() else { return };
    let mut linux = lab.linux(lab.station(1));
    let listener = linux.start("qperf").unwrap();
    linux.wait_for_tcp(19765).unwrap();
    for test in QPERF {
        let game = Game {
            linux: &format!("qperf {{}} -t 1 -cm1 {test}"),
            image: "program=qperf",
            listens: Listens::Tcp(19765),
        };
        let (printed, said) = linux_asks(&lab, &mut linux, &game);
        assert!(printed.contains(&format!("{test}:")), "{printed}");
        assert!(said.contains("received"), "{said}");
        let words = format!("program=qperf test={test} peer=10.88.0.1");
        let said = finish(lab.image("rdma-world", lab.station(2), &words));
        assert!(said.contains(&format!("{test}: ")), "{said}");
    }
    linux.stop(listener).map(drop).unwrap();
}
