//! What QEMU tells of a machine beside its console, and is told: by its machine protocol (QMP), over a socket
//! that is opened here.
//!
//! QEMU obeys, and tells of events, once the other side has named the capabilities it wants: that is written into
//! the socket before QEMU is started. It then writes one JSON object a line.

use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// Wants no capabilities, and so begins the telling.
const GREETING: &[u8] = b"{\"execute\": \"qmp_capabilities\"}\n";
/// Presses the machine's power button.
const POWER_DOWN: &[u8] = b"{\"execute\": \"system_powerdown\"}\n";
/// Presses and releases Ctrl-Alt-Del on the machine's keyboard.
const CTRL_ALT_DEL: &[u8] = b"{\"execute\": \"send-key\", \"arguments\": {\"keys\": [\
    {\"type\": \"qcode\", \"data\": \"ctrl\"}, {\"type\": \"qcode\", \"data\": \"alt\"}, \
    {\"type\": \"qcode\", \"data\": \"delete\"}]}}\n";
/// How long the end of QEMU's words may take once QEMU has ended; they are in the socket by then.
const PATIENCE: Duration = Duration::from_secs(1);

/// This side of the socket.
#[derive(Debug)]
pub(super) struct Control(UnixStream);

impl Control {
    /// This side, and QEMU's.
    pub(super) fn pair() -> io::Result<(Control, OwnedFd)> {
        let (mut ours, theirs) = UnixStream::pair()?;
        ours.write_all(GREETING)?;
        ours.set_read_timeout(Some(PATIENCE))?;
        Ok((Control(ours), theirs.into()))
    }

    /// Presses the machine's power button.
    pub(super) fn press_power_button(&mut self) -> io::Result<()> {
        self.0.write_all(POWER_DOWN)
    }

    /// Presses and releases Ctrl-Alt-Del on the machine's keyboard.
    pub(super) fn press_ctrl_alt_del(&mut self) -> io::Result<()> {
        self.0.write_all(CTRL_ALT_DEL)
    }

    /// Has every block of instructions that is executed noted in `file`.
    pub(super) fn note_execution(&mut self, file: &Path) -> io::Result<()> {
        // Blocks that lead to others directly would be noted once for all.
        for line in [format!("logfile {}", file.display()), "log exec,nochain".to_owned()] {
            let arguments = serde_json::json!({ "command-line": line });
            let command =
                serde_json::json!({ "execute": "human-monitor-command", "arguments": arguments });
            writeln!(self.0, "{command}")?;
        }
        Ok(())
    }

    /// Whether the watchdog has fired. QEMU has ended.
    pub(super) fn watchdog_fired(mut self) -> bool {
        let mut told = Vec::new();
        // What could be read before an error counts.
        let _ = self.0.read_to_end(&mut told);
        happened(&String::from_utf8_lossy(&told), "WATCHDOG")
    }
}

/// Whether QEMU has told of this event.
fn happened(told: &str, event: &str) -> bool {
    told.lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .any(|object| object.get("event").is_some_and(|name| name == event))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_told_from_other_words() {
        let told = "{\"QMP\": {\"version\": {}, \"capabilities\": []}}\r\n\
                    {\"return\": {}}\r\n\
                    {\"timestamp\": {}, \"event\": \"RESUME\"}\r\n";
        assert!(!happened(told, "WATCHDOG"));
        assert!(!happened("{\"return\": \"WATCHDOG\"}\r\n{\"event\"", "WATCHDOG"));
        let fired =
            "{\"timestamp\": {}, \"event\": \"WATCHDOG\", \"data\": {\"action\": \"reset\"}}";
        assert!(happened(&format!("{told}{fired}\r\n"), "WATCHDOG"));
        // Also when QEMU has ended in the middle of another.
        assert!(happened(&format!("{fired}\r\n{{\"event\": \"SHU"), "WATCHDOG"));
    }

    #[test]
    fn qemu_finds_the_greeting_and_its_words_are_found() {
        let (mut control, theirs) = Control::pair().expect("a pair");
        control.press_power_button().expect("room");
        let mut qemu = UnixStream::from(theirs);
        let mut greeting = vec![0; GREETING.len()];
        qemu.read_exact(&mut greeting).expect("it is there already");
        assert_eq!(greeting, GREETING);
        let mut command = vec![0; POWER_DOWN.len()];
        qemu.read_exact(&mut command).expect("it is there already");
        assert_eq!(command, POWER_DOWN);
        qemu.write_all(b"{\"event\": \"WATCHDOG\"}\n").expect("room");
        drop(qemu);
        assert!(control.watchdog_fired());
    }
}
