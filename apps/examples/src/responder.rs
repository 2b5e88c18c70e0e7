//! UDP: answers questions on port 2003.
#![cfg_attr(not(test), no_std, no_main)]

use reflex::prelude::*;

struct Responder;

#[reflex::main]
fn main(system: System) -> Result {
    let responder = system.context("responder", Responder).build()?;
    system.udp(2003).serve(responder)?;
    Ok(())
}

impl UdpService for Responder {
    fn datagram(&mut self, socket: &UdpSocket, datagram: Datagram<'_>) {
        // The datagram is looked at where the device put it.
        let answer: &[u8] = match datagram.payload.trim_ascii() {
            b"ping" => b"pong\n",
            b"marco" => b"polo\n",
            _ => b"pardon?\n",
        };
        // An answer that cannot be sent is lost, as datagrams may be: the client asks again.
        if let Err(error) = socket.send_to(answer, datagram.from) {
            debug!("{}: {error}", datagram.from);
        }
    }
}

#[cfg(test)]
#[path = "tests/responder.rs"]
mod tests;
