//! QEMU's fw_cfg, by which a machine is handed files (QEMU's `docs/specs/fw_cfg.rst`): those named
//! `opt/org.reflex/KEY` are values of keys, and `opt/org.reflex/configuration` is a whole file of them.

mod dma;

pub(crate) use dma::Dma;

use crate::configuration::{Configuration, Error, LONGEST, Source};

/// The list of files: how many there are, and an entry of [`ENTRY_BYTES`] for each. Numbers are big-endian.
const DIRECTORY: u16 = 0x19;
const ENTRY_BYTES: usize = 64;
/// Where an entry has its file's item, and its name up to a zero byte; the length comes first.
const ITEM: usize = 4;
const NAME: usize = 8;
/// More files than any machine has.
const MOST_FILES: u32 = 1024;

const OURS: &str = "opt/org.reflex/";
const FILE: &str = "configuration";

/// The device.
pub(crate) trait Items {
    /// Reads an item from this place on. False when that fails.
    fn read(&mut self, item: u16, offset: u32, bytes: &mut [u8]) -> bool;
}

/// A file of ours.
#[derive(Clone, Copy)]
struct Entry {
    bytes: [u8; ENTRY_BYTES],
}

impl Entry {
    /// The key that it is of, if it is ours.
    fn key(&self) -> Option<&str> {
        let name = self.bytes[NAME..].split(|byte| *byte == 0).next()?;
        let key = core::str::from_utf8(name).ok()?.strip_prefix(OURS)?;
        Some(key).filter(|key| !key.is_empty() && !key.contains('='))
    }

    /// Has `add` add what is in the file.
    fn add(
        &self,
        items: &mut impl Items,
        source: Source,
        add: impl FnOnce(&[u8]) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut buffer = [0; LONGEST];
        let length = number(&self.bytes) as usize;
        let bytes = buffer.get_mut(..length).ok_or(Error::too_long(source))?;
        let item = u16::from_be_bytes([self.bytes[ITEM], self.bytes[ITEM + 1]]);
        if !items.read(item, 0, bytes) {
            return Err(Error::unreadable(source));
        }
        add(bytes)
    }
}

/// Adds what the device has to a configuration: the items, and then the file, as what is weaker.
///
/// # Errors
/// When it cannot be read, is too long, or is no text.
pub(crate) fn add(items: &mut impl Items, to: &mut Configuration) -> Result<(), Error> {
    let unreadable = Error::unreadable(Source::Item);
    let mut count = [0; 4];
    if !items.read(DIRECTORY, 0, &mut count) || number(&count) > MOST_FILES {
        return Err(unreadable);
    }
    to.begin_source();
    let mut file = None;
    for position in 0..number(&count) {
        let mut entry = Entry { bytes: [0; ENTRY_BYTES] };
        if !items.read(DIRECTORY, 4 + position * ENTRY_BYTES as u32, &mut entry.bytes) {
            return Err(unreadable);
        }
        match entry.key() {
            None => {}
            Some(FILE) => file = Some(entry),
            Some(key) => entry.add(items, Source::Item, |value| to.add_bytes(key, value))?,
        }
    }
    let Some(file) = file else { return Ok(()) };
    to.begin_source();
    file.add(items, Source::File, |text| to.add_file(text, Source::File))
}

/// The number that begins `bytes`, of which there are four at least.
fn number(bytes: &[u8]) -> u32 {
    bytes.first_chunk().map_or(0, |bytes| u32::from_be_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    /// Files by their names; items are numbered from 0x20 on.
    struct Fake(BTreeMap<&'static str, Vec<u8>>);

    impl Fake {
        fn of<const N: usize>(files: [(&'static str, &[u8]); N]) -> Self {
            Self(files.into_iter().map(|(name, content)| (name, content.to_vec())).collect())
        }

        fn item(&self, item: u16) -> Option<Vec<u8>> {
            if item != DIRECTORY {
                return self.0.values().nth(usize::from(item) - 0x20).cloned();
            }
            let mut bytes = (self.0.len() as u32).to_be_bytes().to_vec();
            for ((name, content), item) in self.0.iter().zip(0x20_u16..) {
                bytes.extend((content.len() as u32).to_be_bytes());
                bytes.extend(item.to_be_bytes());
                bytes.extend([0; 2]);
                let end = bytes.len() + ENTRY_BYTES - NAME;
                bytes.extend(name.as_bytes());
                bytes.resize(end, 0);
            }
            Some(bytes)
        }
    }

    impl Items for Fake {
        fn read(&mut self, item: u16, offset: u32, bytes: &mut [u8]) -> bool {
            let content = self.item(item).unwrap_or_default();
            let wanted = content.get(offset as usize..offset as usize + bytes.len());
            wanted.map(|wanted| bytes.copy_from_slice(wanted)).is_some()
        }
    }

    fn merged(mut fake: Fake) -> Result<String, Error> {
        let mut to = Configuration::new();
        to.add_line(b"log=off").unwrap();
        add(&mut fake, &mut to)?;
        Ok(String::from_utf8(to.text().to_vec()).unwrap())
    }

    #[test]
    fn files_of_ours_are_keys_and_stronger_than_the_file_of_keys() {
        let files = Fake::of([
            ("etc/e820", b"\xff\xff"),
            ("opt/org.other/log", b"x"),
            ("opt/org.reflex/", b"x"),
            ("opt/org.reflex/a=b", b"x"),
            ("opt/org.reflex/configuration", b"token=of the file\nlog=info\nconnections=7\n"),
            ("opt/org.reflex/log", b"debug"),
            ("opt/org.reflex/token", b"of an item\n"),
        ]);
        assert_eq!(merged(files).unwrap(), "log=off\0token=of an item\0connections=7\0");
        assert_eq!(merged(Fake::of([])).unwrap(), "log=off\0");
    }

    #[test]
    fn a_file_that_is_too_long_or_no_text_is_refused() {
        let long = vec![b'x'; LONGEST + 1];
        let refused = |files| merged(files).unwrap_err().to_string();
        let error = refused(Fake::of([("opt/org.reflex/token", &long)]));
        assert!(error.starts_with("fw_cfg: more than"), "{error}");
        let error = refused(Fake::of([("opt/org.reflex/configuration", b"a=\xff")]));
        assert!(error.starts_with("fw_cfg: the configuration file: expected UTF-8"), "{error}");
    }

    /// What a machine says of itself is checked.
    #[test]
    fn a_directory_that_lies_is_refused() {
        struct Liar(u32);
        impl Items for Liar {
            fn read(&mut self, _: u16, offset: u32, bytes: &mut [u8]) -> bool {
                bytes.fill(0);
                if offset == 0 {
                    bytes.copy_from_slice(&self.0.to_be_bytes());
                }
                offset < 4 + 3 * ENTRY_BYTES as u32
            }
        }
        let mut to = Configuration::new();
        for (count, well) in [(3, true), (4, false), (MOST_FILES + 1, false), (u32::MAX, false)] {
            assert_eq!(add(&mut Liar(count), &mut to).is_ok(), well, "{count}");
        }
    }
}
