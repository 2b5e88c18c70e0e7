//! The configuration inside a disk or an ISO: lines `key=value` in a file of constant length, so that it can be
//! written anew in its place.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use anyhow::{Context, Result, bail};

/// Bytes of the file; behind the text it has ends of lines. An image takes no more (`boot/src/configuration.rs`).
pub(crate) const LENGTH: usize = 8191;

/// What the file has in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Area {
    text: String,
}

/// A key with its value, as the command line has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Word {
    key: String,
    value: String,
}

impl FromStr for Word {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (key, value) = text.split_once('=').ok_or("write KEY=VALUE")?;
        let key_is_bad = |c: char| c.is_whitespace() || c.is_control() || c == '#';
        if key.is_empty() || key.contains(key_is_bad) {
            return Err("a key has letters, and no blanks".to_owned());
        }
        if value.contains(char::is_control) || value.trim() != value {
            return Err("a value is of one line, without blanks around it".to_owned());
        }
        Ok(Self { key: key.to_owned(), value: value.to_owned() })
    }
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.key, self.value)
    }
}

impl Word {
    pub(crate) fn key(&self) -> &str {
        &self.key
    }
}

impl Area {
    /// What a file of a person's has in it.
    ///
    /// # Errors
    /// When it cannot be read, is no text, or is too long.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let bytes = std::fs::read(path).with_context(|| format!("{}", path.display()))?;
        Self::parse(&bytes).with_context(|| format!("{}", path.display()))
    }

    /// What these bytes say.
    ///
    /// # Errors
    /// When they are no text, or too many.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self> {
        let text = std::str::from_utf8(bytes).ok().filter(|text| !text.contains('\0'));
        let text = text.context("a configuration is UTF-8 text, without zero bytes")?;
        let this = Self { text: text.trim_end().to_owned() };
        this.check()?;
        Ok(this)
    }

    /// Has each key be of this value: in place of the lines that it has, or at the end.
    ///
    /// # Errors
    /// When it becomes too long.
    pub(crate) fn set(&mut self, words: &[Word]) -> Result<()> {
        for word in words {
            let is_of = |line: &str| line.split('=').next().map(str::trim) == Some(&word.key);
            let mut lines: Vec<String> = self.text.lines().map(str::to_owned).collect();
            let place = lines.iter().position(|line| is_of(line));
            lines.retain(|line| !is_of(line));
            lines.insert(place.unwrap_or(lines.len()).min(lines.len()), word.to_string());
            self.text = lines.join("\n");
        }
        self.check()
    }

    /// The file, as long as it always is.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.text.clone().into_bytes();
        bytes.resize(LENGTH, b'\n');
        bytes
    }

    fn check(&self) -> Result<()> {
        // With the end of the last line.
        if self.text.len() >= LENGTH {
            bail!(
                "a configuration has up to {} bytes, and this has {}",
                LENGTH - 1,
                self.text.len()
            );
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word(text: &str) -> Word {
        text.parse().unwrap()
    }

    #[test]
    fn a_key_is_replaced_where_it_is_or_added() {
        let mut area = Area::parse(b"# ours\nip = 10.0.0.2/24\nlog=off\nip=twice\n\n\n").unwrap();
        area.set(&[word("ip=10.0.0.3/24"), word("name=a b=c")]).unwrap();
        let bytes = area.bytes();
        assert_eq!(bytes.len(), LENGTH);
        let text = std::str::from_utf8(&bytes).unwrap();
        assert_eq!(text.trim_end(), "# ours\nip=10.0.0.3/24\nlog=off\nname=a b=c");
        assert_eq!(Area::parse(&bytes).unwrap(), area);
    }

    #[test]
    fn nonsense_is_refused() {
        for text in ["", "x", "=1", "a b=1", "#a=1", "a=b\nc", "a= b", "a\t=1"] {
            assert!(text.parse::<Word>().is_err(), "{text:?}");
        }
        let error = Area::parse(b"a=\xff").unwrap_err().to_string();
        assert!(error.contains("UTF-8"), "{error}");
        assert!(Area::parse(b"a\0b").is_err());
        let error = Area::parse(&[b'x'; LENGTH]).unwrap_err().to_string();
        assert!(error.contains("up to 8190 bytes, and this has 8191"), "{error}");
        let mut area = Area::parse(&[b'x'; LENGTH - 1]).unwrap();
        assert!(area.set(&[word("a=1")]).is_err());
    }
}
