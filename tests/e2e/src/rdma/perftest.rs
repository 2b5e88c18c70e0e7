//! The programs of perftest, with either side on Linux.

use super::{Lab, PATIENCE, ok};
use crate::guest::Guest;
use reflex_qemu::peer::Session;
use reflex_qemu::protocol::Protocol;

/// Where parameters are exchanged.
const PORT: u16 = 18515;

/// Options of the Linux program, and keys of the image, that ask for the same.
type Alike = (&'static str, &'static str);

/// How both sides exchange their parameters.
const WAYS: [Alike; 2] = [("", ""), ("-R", "rdma.cm")];

/// Each program, with what is asked of it.
const PROGRAMS: [(&str, Alike); 8] = [
    ("ib_send_lat", ("-n 100 -s 64", "rdma.count=100 rdma.size=64")),
    ("ib_write_lat", ("-n 300 -s 64", "rdma.count=300 rdma.size=64")),
    ("ib_read_lat", ("-n 100 -s 5000", "rdma.count=100 rdma.size=5000")),
    ("ib_atomic_lat", ("-n 100", "rdma.count=100")),
    ("ib_send_bw", ("-n 300 -s 4096", "rdma.count=300 rdma.size=4096")),
    ("ib_write_bw", ("-n 100 -q 2", "rdma.count=100 rdma.pairs=2")),
    ("ib_read_bw", ("-n 300 -s 3000 -t 64 -e", "rdma.count=300 rdma.size=3000 rdma.depth=64")),
    ("ib_atomic_bw", ("-n 300 -m 512", "rdma.count=300 rdma.mtu=512")),
];

/// A server that listens.
fn server(lab: &Lab, program: &str, words: &str) -> Guest {
    let words = format!("rdma.test={program} {words}");
    let mut image = lab.image("rdma-perf", lab.station(2), &words);
    if words.contains("rdma.cm") {
        image.running.wait_for_text(&format!("ready at port {PORT}"), PATIENCE).unwrap();
    } else {
        image.running.wait_for_listen(Protocol::Tcp, PORT, PATIENCE).unwrap();
    }
    image
}

/// Waits until a program of Linux listens.
fn wait_for_server(linux: &mut Session, way: &str) {
    match way {
        "" => linux.wait_for_tcp(PORT),
        _ => linux.wait_for_cm(PORT),
    }
    .unwrap();
}

/// An image that ends well, and its table, which has a line of figures.
fn finish(image: Guest, client: bool) {
    let outcome = image.finish();
    assert!(outcome.status.success(), "{}\n{}", outcome.status, outcome.tail(30));
    if client {
        assert!(outcome.tail(30).contains("#bytes #iterations"), "{}", outcome.tail(30));
    }
}

#[test]
fn perftest_on_linux_is_served_by_an_image() {
    let Some(lab) = Lab::open() else { return };
    let mut linux = lab.linux(lab.station(1));
    for (way, key) in WAYS {
        for (program, (options, words)) in PROGRAMS {
            let image = server(&lab, program, &format!("{words} {key}"));
            let command = format!("{program} {way} {options} 10.88.0.2");
            let printed = ok(linux.run(&command, PATIENCE));
            assert!(printed.contains("#iterations"), "{command}: {printed}");
            finish(image, false);
        }
    }
}

#[test]
fn an_image_measures_as_perftest_does_on_linux() {
    let Some(lab) = Lab::open() else { return };
    let mut linux = lab.linux(lab.station(1));
    for (way, key) in WAYS {
        for (program, (options, words)) in PROGRAMS {
            let listener = linux.start(&format!("{program} {way} {options}")).unwrap();
            wait_for_server(&mut linux, way);
            let words =
                format!("rdma.role=client rdma.peer=10.88.0.1 rdma.test={program} {words} {key}");
            finish(lab.image("rdma-perf", lab.station(2), &words), true);
            ok(linux.wait(listener, PATIENCE));
        }
    }
}

/// All programs between images, too, where nothing is Linux's; the ways by turns.
#[test]
fn images_measure_each_other_as_perftest_does() {
    let Some(lab) = Lab::open() else { return };
    for ((program, (_, words)), (_, key)) in PROGRAMS.into_iter().zip(WAYS.into_iter().cycle()) {
        let image = server(&lab, program, &format!("{words} {key}"));
        let words =
            format!("rdma.role=client rdma.peer=10.88.0.2 rdma.test={program} {words} {key}");
        finish(lab.image("rdma-perf", lab.station(3), &words), true);
        finish(image, false);
    }
}
