//! Clients of a site in good faith, beside others that are none.

use super::crowd::Crowd;
use super::victim::Victim;
use reflex_load::http;
use reflex_qemu::protocol::Protocol;
use std::net::SocketAddrV4;

/// Connections of clients in good faith.
pub(crate) const CLIENTS: u32 = 100;
/// Places beyond those that all clients take, slow ones and others.
pub(crate) const SPARE: u64 = 500;

/// A file of the site that `httpd` serves.
fn file(name: &str) -> Vec<u8> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../apps/httpd/site/");
    std::fs::read(format!("{folder}{name}")).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Where the site is, as soon as it is.
pub(crate) fn endpoint(victim: &mut Victim) -> SocketAddrV4 {
    let port = victim.endpoint(Protocol::Tcp, 80).port();
    SocketAddrV4::new(victim.address(), port)
}

/// Clients that ask for the same page again and again, on connections that are kept.
pub(crate) fn serve(victim: &mut Victim) -> Crowd {
    let server = endpoint(victim).into();
    let page = file("index.html");
    Crowd::gather(victim, move |goes_on| http::run_while(server, ("/", &page), CLIENTS, goes_on))
}
