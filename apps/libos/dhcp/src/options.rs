//! The options of a received message, wherever they lie in it.
//!
//! They may go on in the fields for a file and a server's name (overload, RFC 2132, 9.3), and an
//! option that comes in pieces is one, in the order options, file, server name (RFC 3396, 5 and 7).

use crate::code::{END, OVERLOAD, PAD};
use crate::counters::Counters;
use crate::error::{Error, Oddity};
use crate::message::Message;

/// Fields that hold whole options.
pub(crate) struct Options<'a> {
    fields: [&'a [u8]; 3],
}

/// One value, and whether there is any.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Value<const N: usize> {
    Missing,
    Is([u8; N]),
    /// Of this value there are several. The first.
    Repeated([u8; N]),
    WrongLength,
}

impl<'a> Options<'a> {
    /// Looks through the fields once, so that all that is read later is within them.
    pub(crate) fn parse(message: &Message<'a>, counters: &mut Counters) -> Result<Self, Error> {
        let main = check(message.options(), counters)?;
        let alone = Self { fields: [main, &[], &[]] };
        let (file, sname) = match alone.fixed(OVERLOAD) {
            Value::Missing => (false, false),
            Value::Is([bits @ 1..=3]) => (bits & 1 != 0, bits & 2 != 0),
            _ => {
                counters.note(Oddity::Overload);
                (false, false)
            }
        };
        let mut field = |used: bool, bytes| if used { check(bytes, counters) } else { Ok(&[][..]) };
        Ok(Self { fields: [main, field(file, message.file())?, field(sname, message.sname())?] })
    }

    /// The pieces of an option.
    fn pieces(&self, code: u8) -> impl Iterator<Item = &'a [u8]> {
        let all = self.fields.into_iter().flat_map(Walk);
        all.filter_map(move |step| step.ok().filter(|(found, _)| *found == code)).map(|(_, v)| v)
    }

    /// Whether an option is there, if only an empty one.
    pub(crate) fn has(&self, code: u8) -> bool {
        self.pieces(code).next().is_some()
    }

    /// The bytes of an option, put together.
    pub(crate) fn bytes(&self, code: u8) -> impl Iterator<Item = u8> {
        self.pieces(code).flatten().copied()
    }

    /// How many bytes an option has, put together.
    pub(crate) fn length(&self, code: u8) -> usize {
        self.pieces(code).map(<[u8]>::len).sum()
    }

    /// The value of an option that has one of a fixed length. A server that sends it twice does not
    /// mean twice the length: of whole values the first counts.
    pub(crate) fn fixed<const N: usize>(&self, code: u8) -> Value<N> {
        let length = self.length(code);
        if !self.has(code) {
            return Value::Missing;
        }
        let mut value = [0; N];
        for (to, from) in value.iter_mut().zip(self.bytes(code)) {
            *to = from;
        }
        if length == N {
            return Value::Is(value);
        }
        match self.pieces(code).all(|piece| piece.len() == N) {
            true => Value::Repeated(value),
            false => Value::WrongLength,
        }
    }
}

/// Checks a field: every option ends within it.
fn check<'a>(field: &'a [u8], counters: &mut Counters) -> Result<&'a [u8], Error> {
    let mut walk = Walk(field);
    for step in walk.by_ref() {
        step?;
    }
    // Where the walk has met an end, that is left; else nothing.
    if walk.0.is_empty() {
        counters.note(Oddity::NoEnd);
    }
    Ok(field)
}

/// Goes through the options of one field: number and value.
struct Walk<'a>(&'a [u8]);

impl<'a> Iterator for Walk<'a> {
    type Item = Result<(u8, &'a [u8]), Error>;

    fn next(&mut self) -> Option<Self::Item> {
        while let Some((PAD, rest)) = self.0.split_first().map(|(code, rest)| (*code, rest)) {
            self.0 = rest;
        }
        let (code, rest) = self.0.split_first()?;
        if *code == END {
            return None;
        }
        let value =
            rest.split_first().and_then(|(length, rest)| rest.split_at_checked((*length).into()));
        let Some((value, rest)) = value else {
            self.0 = &[];
            return Some(Err(Error::OptionBeyondEnd));
        };
        self.0 = rest;
        Some(Ok((*code, value)))
    }
}
