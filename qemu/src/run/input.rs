//! What is typed here, or comes through a pipe, on its way to a guest that reads its console.
//!
//! A terminal keeps its own way of editing lines, and its Ctrl-C: the guest gets a line when
//! "enter" is pressed. A guest that does not read leaves the input alone.

use std::io::{self, IsTerminal, Write};
use std::thread;

use nix::unistd::{getpgrp, tcgetpgrp};

use crate::console;

/// Passes this process's standard input on to the guest, until it ends or the guest does.
pub(super) fn connect(mut guest: impl Write + Send + 'static) {
    let stdin = io::stdin();
    if stdin.is_terminal() {
        // Reading it from the background would stop the process.
        if tcgetpgrp(&stdin).is_ok_and(|foreground| foreground != getpgrp()) {
            console::note("Console", "is read by the guest; from the background nothing is sent");
            return;
        }
        console::note("Console", "what is typed here goes to the guest, line by line");
    }
    // Waits for input for as long as the process lives: nobody waits for it.
    thread::spawn(move || {
        // A guest that has ended takes nothing more; that is told elsewhere.
        let _ = io::copy(&mut stdin.lock(), &mut guest);
    });
}
