//! The peers among themselves: what is later asked of our images, Linux passes too.

use reflex_qemu::peer::Session;
use reflex_qemu::protocol::Protocol;

use super::{Lab, PATIENCE, ok};

/// One of the pingpongs, as server on the one and client on the other.
fn pingpong(server: &mut Session, client: &mut Session, program: &str, options: &str) {
    // The device's entry 1 is its IPv4 address.
    let listener = server.start(&format!("{program} -g 1 {options}")).unwrap();
    server.wait_for_tcp(18515).unwrap();
    let command = format!("{program} -g 1 {options} {}", server.ipv4());
    let printed = ok(client.run(&command, PATIENCE));
    assert!(printed.contains(" iters in "), "{printed}");
    ok(server.wait(listener, PATIENCE));
}

/// Pings that are checked, to an address of either family.
fn rping(server: &mut Session, client: &mut Session, address: &str) {
    let options = format!("-a {address} -C 20 -V -v");
    let listener = server.start(&format!("rping -s {options}")).unwrap();
    server.wait_for_cm(7174).unwrap();
    let printed = ok(client.run(&format!("rping -c {options}"), PATIENCE));
    assert_eq!(printed.matches("ping data: rdma-ping-").count(), 20, "{printed}");
    ok(server.wait(listener, PATIENCE));
}

/// Every case of our verbs program.
fn verbs(server: &mut Session, client: &mut Session, address: &str) {
    let listener = server.start(&format!("verbs server {address}")).unwrap();
    server.wait_for_output(listener, "ready", PATIENCE).unwrap();
    let printed = ok(client.run(&format!("verbs client {address}"), PATIENCE));
    let passed = printed.lines().filter(|line| line.starts_with("ok ")).count();
    assert!(passed > 50 && passed == printed.lines().count(), "{printed}");
    server.stop(listener).map(drop).unwrap();
}

#[test]
fn linux_talks_to_linux() {
    let Some(lab) = Lab::open() else { return };
    let (mut one, mut two) = (lab.linux(lab.station(1)), lab.linux(lab.station(2)));
    let (ipv4, ipv6) = (one.ipv4().to_string(), one.ipv6().to_string());
    rping(&mut one, &mut two, &ipv4);
    rping(&mut one, &mut two, &ipv6);
    pingpong(&mut one, &mut two, "ibv_rc_pingpong", "-n 100");
    pingpong(&mut one, &mut two, "ibv_uc_pingpong", "-n 100");
    pingpong(&mut one, &mut two, "ibv_srq_pingpong", "-n 100");
    pingpong(&mut one, &mut two, "ibv_ud_pingpong", "-n 100 -s 1024");
    verbs(&mut one, &mut two, &ipv4);
    one.lose(1.0).unwrap();
    pingpong(&mut one, &mut two, "ibv_rc_pingpong", "-n 100");
}

/// The network joins images with peers.
#[test]
fn linux_talks_to_an_image() {
    let Some(lab) = Lab::open() else { return };
    let mut linux = lab.linux(lab.station(1));
    let mut image = lab.image("echo", lab.station(2), "");
    image.running.wait_for_listen(Protocol::Tcp, 7, PATIENCE).unwrap();
    ok(linux.run("busybox ping -c 3 10.88.0.2", PATIENCE));
    let printed = ok(linux.run("echo over the hub | busybox nc 10.88.0.2 7 -w 5", PATIENCE));
    assert_eq!(printed, "over the hub\n");
    image.stop();
}
