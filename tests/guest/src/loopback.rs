//! An image that is a client of its own service, without anything on the wire.

use core::net::{Ipv4Addr, SocketAddrV4};
use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use reflex::prelude::*;

const PORT: u16 = 4100;
const LENGTH: usize = 10_000;

static HEARD: AtomicUsize = AtomicUsize::new(0);
static ENDED: AtomicUsize = AtomicUsize::new(0);

struct Echo;

impl TcpService for Echo {
    fn received(&mut self, connection: &Connection) {
        let mut block = [0; 512];
        while let Ok(length @ 1..) = connection.read(&mut block) {
            connection.write(&block[..length]);
        }
    }
}

struct Client;

impl TcpService for Client {
    fn connected(&mut self, connection: &Connection) {
        connection.write(&[42; LENGTH]);
    }

    fn received(&mut self, connection: &Connection) {
        let mut block = [0; 512];
        while let Ok(length @ 1..) = connection.read(&mut block) {
            let right = block[..length].iter().all(|byte| *byte == 42);
            let heard = HEARD.fetch_add(if right { length } else { 0 }, Relaxed) + length;
            if heard.is_multiple_of(LENGTH) {
                connection.finish();
            }
        }
    }

    fn ended(&mut self, _: &Connection) {
        ENDED.fetch_add(1, Relaxed);
    }
}

/// By 127.0.0.1 and by the interface's own address, at priorities of which the client's is below the service's.
#[reflex::test(group = "loopback")]
fn a_service_is_reached_from_inside(system: System) -> Result {
    system.enable_loopback();
    let echo = system.context("echo", Echo).priority(Priority::HIGH).memory(1 << 20);
    system.tcp(PORT).connections(4).serve(echo.build()?)?;
    let client =
        system.context("client", Client).priority(Priority::LOW).memory(1 << 20).build()?;
    let connector = system.connector().serve(client)?;
    let net = system.net()?;
    while net.address().is_none() {}
    let own = net.address().map(|own| own.address).ok_or("the address is gone")?;
    for (address, times) in [(Ipv4Addr::LOCALHOST, 1), (own, 2)] {
        connector.connect(SocketAddrV4::new(address, PORT))?;
        while ENDED.load(Relaxed) < times {}
        assert_eq!(HEARD.load(Relaxed), times * LENGTH);
    }
    Ok(())
}
