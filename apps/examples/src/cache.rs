//! Keyed timers: a cache on UDP port 2004, which forgets. `set KEY VALUE SECONDS`, and `get KEY`.
#![cfg_attr(not(test), no_std, no_main)]

extern crate alloc;

use alloc::format;
use reflex::prelude::*;
use reflex::supervise::Setup;
use reflex::{KeyedTimers, println};

struct Cache {
    system: System,
    /// Each entry is a deadline: a value under its key.
    entries: KeyedTimers<u64>,
}

#[reflex::main]
fn main(system: System) -> Result {
    let cache = system.context_with("cache", move |setup: Setup<'_, Cache>| {
        let context = setup.context();
        let entries =
            system.timers(1000).on(context, |_, key, _| println!("{key} is forgotten"))?;
        system.udp(2004).serve(context)?;
        Ok::<_, Error>(Cache { system, entries })
    });
    cache.build()?;
    Ok(())
}

impl UdpService for Cache {
    fn datagram(&mut self, socket: &UdpSocket, datagram: Datagram<'_>) {
        let question = core::str::from_utf8(datagram.payload).unwrap_or_default();
        let mut words = question.split_ascii_whitespace();
        let verb = words.next();
        let mut number = || words.next()?.parse::<u64>().ok();
        let answer = match (verb, number(), number(), number()) {
            (Some("get"), Some(key), None, None) => match self.entries.get(key) {
                Some(value) => format!("{value}\n"),
                None => format!("there is no {key}\n"),
            },
            (Some("set"), Some(key), Some(value), Some(seconds @ 0..=86_400)) => {
                match self.entries.set(key, self.system.now() + secs(seconds), value) {
                    Ok(_) => format!("{key} is {value}\n"),
                    Err(refused) => format!("{refused}\n"),
                }
            }
            _ => "set KEY VALUE SECONDS, or get KEY\n".into(),
        };
        // An answer that cannot be sent is lost, as datagrams may be: the client asks again.
        let _ = socket.send_to(answer.as_bytes(), datagram.from);
    }
}

#[cfg(test)]
#[path = "tests/cache.rs"]
mod tests;
