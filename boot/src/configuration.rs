//! What an image is told at its start, from all that tells it something, merged into one text of words `key=value`.
//!
//! Sources are added the strongest first: the command line, the items of QEMU's fw_cfg, its configuration file, and
//! the modules of the boot loader from the last to the first. What a source says of a key puts aside all that
//! weaker ones say of it. In a file each line is a word, and its value may have blanks; empty lines, and those that
//! begin with `#`, are none. A word ends in a zero byte, which none has in it.

use core::fmt;

/// The most bytes of all words, with the zero byte behind each.
pub(crate) const LONGEST: usize = 8191;

/// Words, merged.
pub(crate) struct Configuration {
    text: [u8; LONGEST],
    length: usize,
    /// Where the words of the source begin that is being added.
    source_start: usize,
}

/// What told an image something.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Source {
    /// The kernel command line.
    CommandLine,
    /// An item of fw_cfg.
    Item,
    /// The configuration file in fw_cfg.
    File,
    /// A module of the boot loader; of a disk, its configuration file.
    Module,
}

/// Why a configuration was refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Error {
    source: Source,
    fault: Fault,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Fault {
    /// It is not UTF-8, or has a zero byte within.
    NotText,
    /// There is more than fits.
    TooLong,
    /// It cannot be read where it is said to be.
    Unreadable,
}

impl Error {
    /// A source that cannot be read where it is said to be.
    pub(crate) fn unreadable(source: Source) -> Self {
        Self { source, fault: Fault::Unreadable }
    }

    /// A source that is longer than all words may be.
    pub(crate) fn too_long(source: Source) -> Self {
        Self { source, fault: Fault::TooLong }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let source = match self.source {
            Source::CommandLine => "command line",
            Source::Item => "fw_cfg",
            Source::File => "fw_cfg: the configuration file",
            Source::Module => "the configuration that the boot loader brought",
        };
        match self.fault {
            Fault::NotText => write!(f, "{source}: expected UTF-8 text without zero bytes"),
            Fault::TooLong => write!(f, "{source}: more than {LONGEST} bytes of configuration"),
            Fault::Unreadable => write!(f, "{source}: it cannot be read"),
        }
    }
}

impl core::error::Error for Error {}

impl Configuration {
    /// Nothing yet.
    pub(crate) const fn new() -> Self {
        Self { text: [0; LONGEST], length: 0, source_start: 0 }
    }

    /// All words, a zero byte behind each.
    pub(crate) fn text(&self) -> &[u8] {
        &self.text[..self.length]
    }

    /// What is added from here on is weaker than all that is there.
    pub(crate) fn begin_source(&mut self) {
        self.source_start = self.length;
    }

    /// Adds words that are separated by blanks.
    pub(crate) fn add_line(&mut self, text: &[u8]) -> Result<(), Error> {
        let text = checked(text, Source::CommandLine)?;
        text.split_ascii_whitespace().try_for_each(|word| self.add(word, Source::CommandLine))
    }

    /// Adds the words of a file. Zero bytes behind its text are taken for its end.
    pub(crate) fn add_file(&mut self, text: &[u8], source: Source) -> Result<(), Error> {
        let end = text.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        let text = checked(&text[..end], source)?;
        let lines = text.lines().map(str::trim);
        let mut words = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
        words.try_for_each(|line| match line.split_once('=') {
            Some((key, value)) => self.add_item(key.trim_end(), value.trim_start(), source),
            None => self.add(line, source),
        })
    }

    /// Adds a key with its value.
    pub(crate) fn add_item(&mut self, key: &str, value: &str, source: Source) -> Result<(), Error> {
        if self.is_settled(key) {
            return Ok(());
        }
        [key, "=", value, "\0"].into_iter().try_for_each(|part| self.push(part, source))
    }

    /// Adds a value that is bytes yet, without the end of line that may be behind it.
    pub(crate) fn add_bytes(&mut self, key: &str, value: &[u8]) -> Result<(), Error> {
        let value = checked(value, Source::Item)?;
        let value = value.strip_suffix('\n').unwrap_or(value);
        self.add_item(key, value.strip_suffix('\r').unwrap_or(value), Source::Item)
    }

    fn add(&mut self, word: &str, source: Source) -> Result<(), Error> {
        let key = word.split_once('=').map_or(word, |(key, _)| key);
        if self.is_settled(key) {
            return Ok(());
        }
        [word, "\0"].into_iter().try_for_each(|part| self.push(part, source))
    }

    /// Whether a stronger source has the key.
    fn is_settled(&self, key: &str) -> bool {
        let mut words = self.text[..self.source_start].split(|byte| *byte == 0);
        words.any(|word| word.split(|byte| *byte == b'=').next() == Some(key.as_bytes()))
    }

    fn push(&mut self, part: &str, source: Source) -> Result<(), Error> {
        let place = self.text.get_mut(self.length..self.length + part.len());
        place.ok_or(Error::too_long(source))?.copy_from_slice(part.as_bytes());
        self.length += part.len();
        Ok(())
    }
}

fn checked(text: &[u8], source: Source) -> Result<&str, Error> {
    let text = core::str::from_utf8(text).ok().filter(|text| !text.contains('\0'));
    text.ok_or(Error { source, fault: Fault::NotText })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::CommandLine;
    use proptest::prelude::*;

    fn words(configuration: &Configuration) -> Vec<(&str, &str)> {
        CommandLine::of_words(configuration.text()).unwrap().words().collect()
    }

    #[test]
    fn what_is_stronger_puts_aside_what_is_weaker() {
        let mut merged = Configuration::new();
        merged.add_line(b" log=off  connections=3\tverbose\n").unwrap();
        merged.begin_source();
        merged.add_bytes("token", b"two words\r\n").unwrap();
        merged.add_bytes("log", b"info").unwrap();
        merged.begin_source();
        let file = b"# ours\r\n\r\n  name = a b  \nlog=debug\ntoken=x\nverbose=1\nheap=1m\n\n\0\0";
        merged.add_file(file, Source::Module).unwrap();
        let expected = [
            ("log", "off"),
            ("connections", "3"),
            ("verbose", ""),
            ("token", "two words"),
            ("name", "a b"),
            ("heap", "1m"),
        ];
        assert_eq!(words(&merged), expected);
    }

    /// So that what is given twice by mistake is refused, and devices may be named one after the other.
    #[test]
    fn one_source_may_say_a_key_twice() {
        let mut merged = Configuration::new();
        merged.add_line(b"virtio_mmio.device=1 virtio_mmio.device=2").unwrap();
        merged.begin_source();
        merged.add_file(b"x=1\nx=2\n", Source::File).unwrap();
        assert_eq!(merged.text(), b"virtio_mmio.device=1\0virtio_mmio.device=2\0x=1\0x=2\0");
    }

    #[test]
    fn nonsense_is_refused_with_its_source() {
        let mut merged = Configuration::new();
        let error = merged.add_line(b"\xff").unwrap_err();
        assert!(error.to_string().starts_with("command line: expected UTF-8"), "{error}");
        let error = merged.add_file(b"a\0b", Source::Module).unwrap_err();
        assert!(error.to_string().starts_with("the configuration that the boot"), "{error}");
        let error = merged.add_bytes("x", b"a\0").unwrap_err();
        assert!(error.to_string().starts_with("fw_cfg: expected UTF-8"), "{error}");
        let long = vec![b'x'; LONGEST + 1];
        let error = merged.add_file(&long, Source::File).unwrap_err();
        assert!(error.to_string().contains("more than 8191 bytes"), "{error}");
        let fits = [&b"\xc3\xa4="[..], &vec![b'x'; LONGEST - 4]].concat();
        Configuration::new().add_file(&fits, Source::File).unwrap();
    }

    proptest! {
        #[test]
        fn the_strongest_word_for_a_key_counts(
            sources in prop::collection::vec(prop::collection::vec((0..6_u8, 0..9_u8), 0..6), 1..4),
        ) {
            let mut merged = Configuration::new();
            for source in &sources {
                merged.begin_source();
                let lines = source.iter().map(|(key, value)| format!("k{key}={value}\n"));
                merged.add_file(lines.collect::<String>().as_bytes(), Source::Module).unwrap();
            }
            let line = CommandLine::of_words(merged.text()).unwrap();
            for key in 0..6 {
                let first = sources.iter().find(|source| source.iter().any(|(k, _)| *k == key));
                let expected = first.into_iter().flatten().filter(|(k, _)| *k == key);
                let expected: Vec<_> = expected.map(|(_, value)| value.to_string()).collect();
                let found: Vec<_> = line.all(&format!("k{key}")).collect();
                prop_assert_eq!(found, expected);
            }
        }
    }
}
