//! What the command itself says on the terminal, in cargo's style, and the colours of the
//! guest's log. Colours disappear by themselves where the output is not a terminal.

use std::fmt::Display;

use anstyle::{AnsiColor, Style};

const GOOD: Style = AnsiColor::Green.on_default().bold();
const ALERT: Style = AnsiColor::Yellow.on_default().bold();
const BAD: Style = AnsiColor::Red.on_default().bold();
const NOTE: Style = AnsiColor::Cyan.on_default().bold();

/// A step of the work, as `   Booting httpd`.
pub(crate) fn step(verb: &str, what: impl Display) {
    anstream::eprintln!("{GOOD}{verb:>12}{GOOD:#} {what}");
}

/// Something to try or to know.
pub(crate) fn note(verb: &str, what: impl Display) {
    anstream::eprintln!("{NOTE}{verb:>12}{NOTE:#} {what}");
}

/// Something that may be wrong.
pub(crate) fn warning(what: impl Display) {
    anstream::eprintln!("{ALERT}warning{ALERT:#}: {what}");
}

/// What went wrong.
pub(crate) fn error(what: impl Display) {
    anstream::eprintln!("{BAD}error{BAD:#}: {what}");
}

/// A line of the guest's log, coloured by its level: `[    0.012345] WARN  target: text`.
pub(crate) fn log_line(text: &str) {
    anstream::println!("{}", coloured(text));
}

fn coloured(text: &str) -> String {
    let Some((time, rest)) = text.split_once("] ").filter(|_| text.starts_with('[')) else {
        return text.to_owned();
    };
    let level = rest.split(' ').next().unwrap_or_default();
    let style = match level {
        "ERROR" => BAD,
        "WARN" => ALERT,
        "INFO" => AnsiColor::Green.on_default(),
        "DEBUG" => AnsiColor::Blue.on_default(),
        "TRACE" => AnsiColor::BrightBlack.on_default(),
        _ => return text.to_owned(),
    };
    let dim = Style::new().dimmed();
    let after = &rest[level.len()..];
    format!("{dim}{time}]{dim:#} {style}{level}{style:#}{after}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_level_is_coloured_and_no_text_is_lost() {
        for text in ["[    0.012345] WARN  net: full", "[x] ERROR a", "[no", "plain", "[1] up"] {
            let with = coloured(text);
            assert_eq!(anstream::adapter::strip_str(&with).to_string(), text);
        }
        assert_eq!(coloured("[1] up"), "[1] up");
        assert_ne!(coloured("[1] WARN x"), "[1] WARN x");
    }
}
