//! How a machine ended, judged from the guest's end marker and QEMU's exit code together.

use std::fmt;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::Duration;

use crate::crash::CrashReport;
use crate::protocol::{Event, Line};

/// What the guest adds to its status before it writes it to the exit port, so that no status
/// can be mistaken for QEMU's own exit codes.
const STATUS_OFFSET: i32 = 16;

/// How a machine ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Status {
    /// The guest turned the machine off; its end marker and QEMU's exit code agree.
    Exited(u8),
    /// It ended in any other way; the text says which.
    Crashed(String),
    /// Its kernel stood still, and the watchdog reset it.
    StoodStill,
    /// The hard time-out came first.
    TimedOut,
    /// The host ended it.
    Killed,
    /// QEMU itself failed; the text is what it printed.
    QemuFailed(String),
}

impl Status {
    /// Whether the guest ended by itself with status 0.
    pub fn success(&self) -> bool {
        *self == Status::Exited(0)
    }

    /// The meaning of a status the runtime gives (not the application).
    pub fn meaning(status: u8) -> &'static str {
        match status {
            0 => "success",
            1 => "main returned an error",
            101 => "panic",
            102 => "processor exception",
            103 => "bad kernel command line",
            104 => "no network interface",
            105 => "too little memory",
            106 => "no source of random numbers",
            107 => "boot protocol error",
            108 => "tests failed",
            _ => "the application's own status",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Status::Exited(status) => {
                write!(f, "exited with status {status} ({})", Status::meaning(*status))
            }
            Status::Crashed(how) => write!(f, "crashed: {how}"),
            Status::StoodStill => f.write_str(
                "was reset by the watchdog: its kernel stood still, with interrupts masked or in a \
                 section that did not end",
            ),
            Status::TimedOut => f.write_str("timed out"),
            Status::Killed => f.write_str("ended by the host"),
            Status::QemuFailed(text) => write!(f, "QEMU failed: {}", text.trim()),
        }
    }
}

/// Everything known of a machine that has ended.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// How it ended.
    pub status: Status,
    /// The serial console from the first line to the last.
    pub lines: Vec<Line>,
    /// What QEMU printed on its standard error.
    pub stderr: String,
    /// The crash reports among the lines, those of contexts that were given up included.
    pub crashes: Vec<CrashReport>,
    /// From QEMU's start to its end.
    pub elapsed: Duration,
}

impl Outcome {
    /// Whether the image has told of a crash that it did not survive.
    pub fn crashed(&self) -> bool {
        self.crashes.iter().any(|crash| !crash.contained)
    }

    /// The last `count` lines of the console, for an error message.
    pub fn tail(&self, count: usize) -> String {
        tail(&self.lines, count)
    }
}

/// The last `count` lines as text.
pub(super) fn tail(lines: &[Line], count: usize) -> String {
    let from = lines.len().saturating_sub(count);
    let lines: Vec<String> = lines[from..].iter().map(|l| format!("    {}", l.text)).collect();
    if lines.is_empty() { "    (nothing)".to_owned() } else { lines.join("\n") }
}

/// Judges the end of a machine that was neither killed nor timed out.
pub(super) fn judge(
    exit: ExitStatus,
    lines: &[Line],
    stderr: &str,
    watchdog_fired: bool,
) -> Status {
    let marker = lines.iter().rev().find_map(|line| match line.event {
        Some(Event::Exit(status)) => Some(status),
        _ => None,
    });
    if let Some(signal) = exit.signal() {
        return Status::Crashed(format!("QEMU was killed by signal {signal}"));
    }
    let code = exit.code().unwrap_or(-1);
    match (marker, code) {
        (Some(status), code) if code == exit_code(status) => Status::Exited(status),
        (Some(status), code) => Status::Crashed(format!(
            "the end marker says {status}, but QEMU exited with {code} instead of {}",
            exit_code(status)
        )),
        // QEMU's own failures; the guest cannot cause a 1.
        (None, 1) => Status::QemuFailed(if stderr.trim().is_empty() {
            "it exited with 1 and printed nothing".to_owned()
        } else {
            stderr.to_owned()
        }),
        (None, 0) if watchdog_fired => Status::StoodStill,
        (None, 0) => Status::Crashed(
            "the machine was reset or turned off without an end marker (a triple fault?)"
                .to_owned(),
        ),
        (None, code) => {
            Status::Crashed(format!("QEMU exited with {code}, but there is no end marker"))
        }
    }
}

/// QEMU's exit code when the guest writes this status to `isa-debug-exit`.
pub(super) fn exit_code(status: u8) -> i32 {
    (((i32::from(status) + STATUS_OFFSET) & 0xff) << 1 | 1) & 0xff
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn exited(code: i32) -> ExitStatus {
        ExitStatus::from_raw(code << 8)
    }

    fn log(text: &str) -> Vec<Line> {
        vec![Line::parse(text.to_owned(), Duration::ZERO)]
    }

    #[test]
    fn a_status_needs_marker_and_code() {
        assert_eq!(judge(exited(33), &log("#! exit 0"), "", false), Status::Exited(0));
        assert_eq!(judge(exited(235), &log("#! exit 101"), "", false), Status::Exited(101));
        for (code, text) in [(33, "bye"), (0, "bye"), (0, "#! exit 0"), (35, "#! exit 0")] {
            assert!(
                matches!(judge(exited(code), &log(text), "", false), Status::Crashed(_)),
                "{code} {text}"
            );
        }
    }

    #[test]
    fn a_reset_by_the_watchdog_is_told_from_others() {
        assert_eq!(judge(exited(0), &log("bye"), "", true), Status::StoodStill);
        assert!(Status::StoodStill.to_string().contains("watchdog"));
        // It fired while the guest was about to end by itself, or QEMU failed for another reason.
        assert_eq!(judge(exited(33), &log("#! exit 0"), "", true), Status::Exited(0));
        assert!(matches!(judge(exited(1), &[], "", true), Status::QemuFailed(_)));
        assert!(matches!(judge(exited(0), &log("bye"), "", false), Status::Crashed(_)));
    }

    #[test]
    fn death_by_signal_is_never_success() {
        let killed = ExitStatus::from_raw(9);
        assert!(matches!(judge(killed, &log("#! exit 0"), "", false), Status::Crashed(_)));
    }

    #[test]
    fn qemus_own_failure_says_what_it_printed() {
        let status = judge(exited(1), &[], "qemu: no such machine\n", false);
        assert_eq!(status, Status::QemuFailed("qemu: no such machine\n".into()));
        assert!(matches!(judge(exited(1), &[], "", false), Status::QemuFailed(_)));
    }

    proptest! {
        #[test]
        fn only_one_code_agrees_with_a_status(status in 0u8..=111, code in 0i32..256) {
            let judged = judge(exited(code), &log(&format!("#! exit {status}")), "", false);
            prop_assert_eq!(judged == Status::Exited(status), code == exit_code(status));
            // No status looks like an ordinary end or failure of QEMU.
            prop_assert!(exit_code(status) > 1);
        }
    }
}
