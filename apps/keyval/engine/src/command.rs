//! A command, as its handler sees it.

use crate::arguments::{Argument, LONGEST_KEY};
use crate::blobs::{BlobId, Blobs};
use crate::failure::Failure;
use crate::number;
use crate::reply::Reply;

/// A value that a command has brought.
#[derive(Clone, Copy)]
pub(crate) enum Operand<'a> {
    Text(&'a [u8]),
    Blob(BlobId),
}

/// The words of a command; the first is its name.
#[derive(Clone, Copy)]
pub(crate) struct Command<'a> {
    words: &'a [Argument],
    /// The bytes that they are ranges of.
    base: &'a [u8],
}

/// A command, and what it is answered with.
pub struct Call<'a, 'r> {
    pub(crate) command: Command<'a>,
    pub(crate) reply: &'a mut Reply<'r>,
    pub(crate) blobs: &'a mut Blobs,
    /// Milliseconds since 1970.
    pub(crate) now: u64,
}

impl<'a> Command<'a> {
    pub(crate) const fn new(words: &'a [Argument], base: &'a [u8]) -> Self {
        Self { words, base }
    }

    /// Words, its name among them.
    pub(crate) const fn len(self) -> usize {
        self.words.len()
    }

    /// The value that a word is.
    #[inline]
    pub(crate) fn operand(self, at: usize) -> Operand<'a> {
        match self.words[at] {
            Argument::Text { begin, length } => {
                Operand::Text(&self.base[begin as usize..][..length as usize])
            }
            Argument::Blob(id) => Operand::Blob(id),
        }
    }

    /// A word that is not too long to be looked at.
    #[inline]
    pub(crate) fn word(self, at: usize) -> Result<&'a [u8], Failure> {
        match self.operand(at) {
            Operand::Text(text) if text.len() <= LONGEST_KEY => Ok(text),
            _ => Err(Failure::ArgumentTooLong),
        }
    }

    /// A word that is a key.
    #[inline]
    pub(crate) fn key(self, at: usize) -> Result<&'a [u8], Failure> {
        self.word(at).map_err(|_| Failure::KeyTooLong)
    }

    /// A word that is a number.
    pub(crate) fn integer(self, at: usize) -> Result<i64, Failure> {
        number::parse(self.word(at)?).ok_or(Failure::NotInteger)
    }

    /// Whether a word is `name`, in letters of either case.
    pub(crate) fn is(self, at: usize, name: &str) -> bool {
        self.word(at).is_ok_and(|word| word.eq_ignore_ascii_case(name.as_bytes()))
    }
}

/// Names have at most eight letters: one is a number, in lower case.
#[inline]
pub(crate) fn name(word: &[u8]) -> u64 {
    let mut name = [0; 8];
    if word.len() > name.len() {
        return 0;
    }
    name[..word.len()].copy_from_slice(word);
    // Letters have this bit when they are small; of what is none, all that is taken for a name has it, too.
    u64::from_le_bytes(name) | (0x2020_2020_2020_2020 & mask(word.len()))
}

/// The bytes of a name of so many letters.
const fn mask(length: usize) -> u64 {
    if length == 0 { 0 } else { u64::MAX >> (64 - 8 * length) }
}

/// As [`name`], of a name in small letters.
pub(crate) const fn name_of(text: &str) -> u64 {
    let (text, mut name, mut at) = (text.as_bytes(), 0, 0);
    assert!(text.len() <= 8, "a name of more than eight letters");
    while at < text.len() {
        name |= (text[at] as u64) << (8 * at);
        at += 1;
    }
    name
}
