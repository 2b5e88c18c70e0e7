//! Text that nobody is to read in a log.

use core::fmt;

/// A password, a token, a key. What is printed of it is the word `secret`, whatever way.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Secret<'a>(&'a str);

impl<'a> Secret<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self(text)
    }

    /// The text itself, for what needs it: it is not to go on into a log or a message.
    pub fn expose(&self) -> &'a str {
        self.0
    }
}

impl fmt::Debug for Secret<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("secret")
    }
}

impl fmt::Display for Secret<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("secret")
    }
}

#[cfg(test)]
mod tests {
    use crate::CommandLine;

    #[test]
    fn a_secret_is_printed_in_no_way() {
        let line = CommandLine::parse(b"token=hunter2 log=off").unwrap();
        let secret = line.secret("token").unwrap();
        assert_eq!(secret.expose(), "hunter2");
        for text in [format!("{secret}"), format!("{secret:?} {secret:#?}"), format!("{line:?}")] {
            assert!(!text.contains("hunter") && !text.is_empty(), "{text}");
        }
        assert_eq!(line.secret("tokens"), None);
    }
}
