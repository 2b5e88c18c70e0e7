//! An image and Linux at the two ends of a bad way: a Linux router between them, which loses, doubles, reorders
//! and corrupts packets (`netem`), or carries shorter ones than both ends do.
//!
//! Through each kind of trouble 1 MiB goes each way, at once, on a connection that Linux opens and on one that the image opens;
//! what arrives is compared by its SHA-256.

mod lab;

use lab::{BYTES, Lab, ok, sound};
use reflex_qemu::peer::Class;

/// What becomes of packets, by the port that is connected to.
const TROUBLES: [Class; 5] = [
    Class { port: 2010, netem: "loss 1%" },
    Class { port: 2011, netem: "loss 5%" },
    Class { port: 2013, netem: "delay 5ms 2ms reorder 40% 25%" },
    Class { port: 2014, netem: "corrupt 5%" },
    Class { port: 2015, netem: "delay 5ms 2ms reorder 40% loss 5% corrupt 2%" },
];
/// Those that lose packets.
const LOSSY: [u16; 3] = [2010, 2011, 2015];
/// Of this there is so much that what is sent again is lost, too, and most of the time is waited: less is sent.
const LOST: Class = Class { port: 2012, netem: "loss 20%" };
const LESS: u64 = 256 << 10;
/// What Linux does only to all packets alike.
const DOUBLED: &str = "duplicate 20%";
const EVERYTHING: &str = "delay 5ms 2ms reorder 40% loss 5% corrupt 2% duplicate 5%";

/// A port that is no other than all.
const PLAIN: u16 = 2020;
/// The MTU in the middle: the links at both ends carry 1,500 bytes.
const MIDDLE: u16 = 1400;

#[test]
fn what_is_sent_through_loss_reordering_and_corruption_arrives() {
    let Some(mut lab) = Lab::open(BYTES) else { return };
    sound(lab.router.impair(&TROUBLES));
    lab.exchange(&TROUBLES.map(|class| class.port));
    // That this is no test of a good way.
    for port in LOSSY {
        let lost = lab.lost(port, &TROUBLES);
        assert!(lost > 0, "nothing was lost of port {port}");
    }
    assert!(lab.counter("bad_checksum") > 0, "nothing was corrupted");
    lab.end();
}

#[test]
fn what_is_sent_through_a_loss_of_a_fifth_arrives() {
    let Some(mut lab) = Lab::open(LESS) else { return };
    sound(lab.router.impair(&[LOST]));
    lab.exchange(&[LOST.port]);
    assert!(lab.lost(LOST.port, &[LOST]) > 0, "nothing was lost");
    lab.end();
}

#[test]
fn what_is_sent_through_duplication_arrives() {
    let Some(mut lab) = Lab::open(BYTES) else { return };
    sound(lab.router.impair_all(DOUBLED));
    lab.exchange(&[PLAIN]);
    lab.end();
}

#[test]
fn what_is_sent_through_a_link_of_shorter_packets_arrives() {
    let Some(mut lab) = Lab::open(BYTES) else { return };
    sound(lab.router.shorten(MIDDLE));
    lab.exchange(&[PLAIN]);
    assert!(lab.counter("paths_learnt") > 0, "the image has sent nothing that was too long");
    let told = ok(&mut lab.linux, "/usr/bin/ip route get 10.88.0.2");
    let learnt = told.contains(&format!("mtu {MIDDLE}"));
    assert!(learnt, "Linux has sent nothing that was too long: {told}");
    lab.end();
}

#[test]
fn what_is_sent_through_everything_at_once_arrives() {
    let Some(mut lab) = Lab::open(BYTES) else { return };
    sound(lab.router.shorten(MIDDLE));
    sound(lab.router.impair_all(EVERYTHING));
    lab.exchange(&[PLAIN]);
    assert!(lab.counter("bad_checksum") > 0, "nothing was corrupted");
    lab.end();
}
