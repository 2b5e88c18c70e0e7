//! Netcats that send all there is, shut their side down, and wait for the answer to be complete.

use super::tools::Attack;
use super::victim::{ECHO, PATIENCE};
use std::fs::{self, File};
use std::io::Write;

/// Bytes that go there and come back: many times what the buffers of both sides hold.
const LENGTH: usize = 4 << 20;

/// Sends a file and takes what comes back, to the end.
#[track_caller]
fn comes_back_whole(program: &str, arguments: &[&str]) {
    let Some(mut attack) = Attack::on("echo", "") else { return };
    attack.victim.echoes();
    let before = attack.victim.report();
    let sent: Vec<u8> = (0..LENGTH as u32).map(|at| (at ^ at >> 8 ^ at >> 16) as u8).collect();
    let (source, target) = (attack.folder().join("sent"), attack.folder().join("received"));
    let mut file = File::create(&source).expect("a file");
    file.write_all(&sent).expect("room for a file");
    let mut command = attack.programs.command(program);
    command.args(arguments).arg(attack.address().to_string()).arg(ECHO.to_string());
    let ends = [File::open(&source).expect("a file"), File::create(&target).expect("a file")];
    let mut running = attack.victim.place.start_between(command, ends, attack.folder(), program);
    assert!(running.wait(PATIENCE), "{program} ended badly: {}", running.log());
    let received = fs::read(&target).expect("what came back");
    assert!(received == sent, "{} bytes came back of {LENGTH}", received.len());
    // Both sides have closed: nothing is left of it.
    let after = attack.victim.until("the connection is over", |now| {
        now.count("ended") > before.count("ended") && now.connections() == 0 && now.half_open() == 0
    });
    assert_eq!(after.memory(), before.memory());
    attack.victim.end(&[]);
}

#[test]
fn ncat_sends_shuts_down_and_gets_everything() {
    comes_back_whole("ncat", &[]);
}

#[test]
fn openbsds_netcat_sends_shuts_down_and_gets_everything() {
    comes_back_whole("nc.openbsd", &["-N"]);
}
