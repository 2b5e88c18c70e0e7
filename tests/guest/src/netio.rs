//! NetIO's messages inside of an image, over its loopback, while other contexts interrupt.

use core::hint::spin_loop;
use core::net::{Ipv4Addr, SocketAddr};
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use core::time::Duration;
use reflex::SignalMode;
use reflex::netio::{Event, NetioError, SendSocket};
use reflex::prelude::*;

const MEMORY: usize = 1 << 20;

fn here(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

fn until(done: impl Fn() -> bool) {
    while !done() {
        spin_loop();
    }
}

/// Sends numbered messages of many lengths for as long as there is room, and goes on when there is again.
struct Sender {
    socket: Option<SendSocket>,
    next: u64,
}

/// How many it sends.
const MESSAGES: u64 = 5_000;

impl Sender {
    fn go_on(&mut self) {
        let Some(socket) = &self.socket else { return };
        let mut bytes = [0; 308];
        while self.next < MESSAGES {
            let length = 8 + (self.next * 37 % 300) as usize;
            bytes[..8].copy_from_slice(&self.next.to_le_bytes());
            bytes[8..length].fill(self.next as u8);
            match socket.send(self.next, &bytes[..length]) {
                Ok(()) => self.next += 1,
                Err(NetioError::Again | NetioError::NotConnected) => return,
                Err(error) => panic!("{error}"),
            }
        }
    }
}

/// A sender, its receiver and the stack at three priorities, all of them interrupted again and again.
#[reflex::test(group = "loopback")]
fn messages_arrive_each_once_and_in_order_whatever_preempts(system: System) -> Result {
    static RECEIVED: AtomicU64 = AtomicU64::new(0);
    static INTERRUPTIONS: AtomicU32 = AtomicU32::new(0);
    system.enable_loopback();
    let receiver =
        system.context("receiver", 0u64).priority(Priority::HIGH).memory(MEMORY).build()?;
    let received = |next: &mut u64, event: Event<'_>| {
        if let Event::Message { tag, bytes, .. } = event {
            assert_eq!((tag, &bytes[..8]), (*next, &next.to_le_bytes()[..]));
            assert_eq!(bytes.len() as u64, 8 + *next * 37 % 300);
            assert!(bytes[8..].iter().all(|byte| *byte == *next as u8));
            *next += 1;
            RECEIVED.store(*next, Relaxed);
        }
    };
    system.netio(receiver).links(2).on(received)?.listen(7100)?;
    let state = Sender { socket: None, next: 0 };
    let sender = system.context("sender", state).priority(Priority::LOW).memory(MEMORY).build()?;
    let endpoint = system.netio(sender).links(2).on(|sender: &mut Sender, event| match event {
        Event::Up { .. } | Event::Room { .. } => sender.go_on(),
        Event::Down { why, .. } => panic!("it is down: {why}"),
        _ => {}
    })?;
    let socket = endpoint.connect(here(7100))?;
    let begin = system.signal(SignalMode::Counter).on(sender, move |sender: &mut Sender, _| {
        sender.socket = Some(socket.clone());
        sender.go_on();
    })?;
    let nuisance = system.context("nuisance", ()).priority(Priority::HIGHEST).build()?;
    system.every(Duration::from_micros(50)).on(nuisance, |(), _| {
        INTERRUPTIONS.fetch_add(1, Relaxed);
    })?;
    begin.fire()?;
    until(|| RECEIVED.load(Relaxed) == MESSAGES);
    assert!(INTERRUPTIONS.load(Relaxed) > 0);
    Ok(())
}
