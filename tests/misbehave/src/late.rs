//! An application that asks to be told of the shutdown after the power button was pressed.

use core::hint::spin_loop;
use core::sync::atomic::{AtomicBool, Ordering::Relaxed};
use reflex::prelude::*;

/// A client has sent something, which it does once the button has been pressed.
static HEARD: AtomicBool = AtomicBool::new(false);

/// The last connection.
#[derive(Default)]
struct Late(Option<Connection>);

/// Listens on port 7, and asks to be told only when a client has sent something; it is then told on its connection.
pub(crate) fn ask_late(system: System) -> Result {
    let late = system.context("late", Late::default()).memory(1 << 20).build()?;
    system.tcp(7).serve(late)?;
    while !HEARD.load(Relaxed) {
        spin_loop();
    }
    for word in [&b"told "[..], b"twice "] {
        system.on_shutdown(late, move |late: &mut Late, _| {
            if let Some(connection) = &late.0 {
                let _ = connection.send(word);
                if word == b"twice " {
                    connection.finish();
                }
            }
        })?;
    }
    Ok(())
}

impl TcpService for Late {
    fn accepted(&mut self, connection: &Connection) {
        let _ = connection.send(b"hello");
        self.0 = Some(connection.clone());
    }

    fn received(&mut self, connection: &Connection) {
        let _ = connection.receive(|bytes| bytes.len());
        HEARD.store(true, Relaxed);
    }
}
