//! Commands of RESP2: an array of bulk strings, or one line of words.
//!
//! ```text
//!            ┌────────────── the last one's end ──────────────┐
//!            ▼                                                │
//!   ──▶ Start ──*N──▶ Length ──$L──▶ Body ──L bytes, CRLF─────┤
//!         │             ▲             │                       │
//!         │             │             └─ long ─▶ (streamed) ─▶ Tail
//!         ▼             └────────────── not the last one's end ┘
//!       Line ──its end──▶ Start
//! ```
//!
//! The parser looks at the bytes of a command from its first on and goes on where it was when there are more of
//! them. It keeps no bytes: an argument is a range of these.

use crate::arguments::{Arguments, LARGE, LONGEST_VALUE};
use crate::failure::ProtocolError;
use crate::inline;

/// Most arguments of a command.
const MOST_ARGUMENTS: i64 = 1 << 20;
/// Longest line that is a number: no number that is allowed has as many digits.
const LONGEST_NUMBER: usize = 32;
/// Longest line that is a command.
const LONGEST_LINE: usize = 64 << 10;

/// How far the parser came.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Step {
    /// To the end of the command, which may have no arguments: then it is none.
    Complete,
    /// More bytes are needed.
    Incomplete,
    /// An argument of so many bytes is to be streamed, and [`Parser::streamed`] to be called behind it.
    Large(usize),
    /// There is no memory for the arguments.
    NoMemory,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Start,
    /// So many bytes of the line have been looked at.
    Line(usize),
    Length,
    Body(usize),
    Tail,
}

/// Where the parser is in a command.
#[derive(Clone, Copy)]
pub(crate) struct Parser {
    at: usize,
    /// Arguments that are still to come.
    left: u32,
    state: State,
}

/// A number and what is behind its line, if the line is there; nothing in the place of the number if it is none.
type Line = Option<(Option<i64>, usize)>;

impl Parser {
    pub(crate) const fn new() -> Self {
        Self { at: 0, left: 0, state: State::Start }
    }

    /// Bytes of the command that it is through with.
    pub(crate) const fn at(&self) -> usize {
        self.at
    }

    /// Bytes of the command that it need not find again where they came: those, and what there is of a line.
    pub(crate) const fn seen(&self) -> usize {
        match self.state {
            State::Line(seen) => self.at + seen,
            _ => self.at,
        }
    }

    /// The bytes that it is through with have been forgotten.
    pub(crate) const fn forget(&mut self) {
        self.at = 0;
    }

    /// Goes on with the bytes of a command. Those that are `discarded` have their arguments streamed, one and all.
    ///
    /// # Errors
    /// When they are no command.
    #[inline]
    pub(crate) fn parse(
        &mut self,
        bytes: &[u8],
        arguments: &mut Arguments,
        discarded: bool,
    ) -> Result<Step, ProtocolError> {
        loop {
            let step = match self.state {
                State::Start => self.start(bytes)?,
                State::Line(seen) => Some(self.line(bytes, seen, arguments)?),
                State::Length => self.length(bytes)?,
                State::Body(length) if discarded => return Ok(Step::Large(length)),
                State::Body(length) => self.body(bytes, length, arguments)?,
                State::Tail => self.tail(bytes)?,
            };
            if let Some(step) = step {
                return Ok(step);
            }
        }
    }

    /// The argument that was to be streamed is through.
    pub(crate) const fn streamed(&mut self) {
        self.state = State::Tail;
    }

    /// The length of the argument that it is at, when that is looked at as one piece.
    pub(crate) const fn argument_length(&self) -> Option<usize> {
        match self.state {
            State::Body(length) => Some(length),
            _ => None,
        }
    }

    /// Whether the command is a line of words, of which the end is not there: with the bytes of it that are, and
    /// those that come next.
    pub(crate) fn in_line(&self, have: &[u8], input: &[u8]) -> bool {
        let first = have.get(self.at).or(input.first());
        match self.state {
            State::Line(_) => true,
            State::Start => first.is_some_and(|byte| *byte != b'*'),
            _ => false,
        }
    }

    /// How many of the bytes `input` that come next are the command's for sure, and let it go on; `have` are there. At
    /// least one, if there are some.
    pub(crate) fn wants(&self, have: &[u8], input: &[u8]) -> usize {
        let wanted = match self.state {
            State::Start | State::Line(_) | State::Length => {
                let line = input.iter().position(|byte| *byte == b'\n').map(|at| at + 1);
                let wanted = line.unwrap_or(input.len());
                if self.in_line(have, input) { wanted } else { wanted.min(LONGEST_NUMBER) }
            }
            State::Body(length) => self.at + length + 2 - have.len(),
            State::Tail => self.at + 2 - have.len(),
        };
        wanted.min(input.len())
    }

    #[inline]
    fn start(&mut self, bytes: &[u8]) -> Result<Option<Step>, ProtocolError> {
        match bytes.get(self.at) {
            None => Ok(Some(Step::Incomplete)),
            Some(b'*') => {
                let line = number(bytes, self.at + 1, ProtocolError::LongCount)?;
                let Some((count, behind)) = line else { return Ok(Some(Step::Incomplete)) };
                let count = count.filter(|count| *count <= MOST_ARGUMENTS);
                let count = count.ok_or(ProtocolError::ArgumentCount)?;
                self.at = behind;
                if count <= 0 {
                    return Ok(Some(Step::Complete));
                }
                self.left = count as u32;
                self.state = State::Length;
                Ok(None)
            }
            Some(_) => {
                self.state = State::Line(0);
                Ok(None)
            }
        }
    }

    fn line(
        &mut self,
        bytes: &[u8],
        seen: usize,
        arguments: &mut Arguments,
    ) -> Result<Step, ProtocolError> {
        let (begin, rest) = (self.at, &bytes[self.at..]);
        let unseen = &rest[seen..rest.len().min(LONGEST_LINE)];
        let Some(end) = unseen.iter().position(|byte| *byte == b'\n') else {
            self.state = State::Line(seen + unseen.len());
            let long = rest.len() >= LONGEST_LINE;
            return if long { Err(ProtocolError::LongInline) } else { Ok(Step::Incomplete) };
        };
        (self.at, self.state) = (begin + seen + end + 1, State::Start);
        let line = &rest[..seen + end];
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        Ok(if inline::split(line, begin, arguments)? { Step::Complete } else { Step::NoMemory })
    }

    #[inline]
    fn length(&mut self, bytes: &[u8]) -> Result<Option<Step>, ProtocolError> {
        match bytes.get(self.at) {
            None => Ok(Some(Step::Incomplete)),
            Some(b'$') => {
                let line = number(bytes, self.at + 1, ProtocolError::LongLength)?;
                let Some((length, behind)) = line else { return Ok(Some(Step::Incomplete)) };
                let length = length.and_then(|length| usize::try_from(length).ok());
                let length = length.filter(|length| *length <= LONGEST_VALUE);
                self.state = State::Body(length.ok_or(ProtocolError::ArgumentLength)?);
                self.at = behind;
                Ok(None)
            }
            Some(other) => Err(ProtocolError::NotBulk(*other)),
        }
    }

    #[inline]
    fn body(
        &mut self,
        bytes: &[u8],
        length: usize,
        arguments: &mut Arguments,
    ) -> Result<Option<Step>, ProtocolError> {
        let (begin, end) = (self.at, self.at + length);
        let Some(line_end) = bytes.get(end..end + 2) else {
            let step = if length > LARGE { Step::Large(length) } else { Step::Incomplete };
            return Ok(Some(step));
        };
        if line_end != b"\r\n" {
            return Err(ProtocolError::WrongLength);
        }
        let step = self.next(end + 2);
        Ok(if arguments.push(begin, length) { step } else { Some(Step::NoMemory) })
    }

    fn tail(&mut self, bytes: &[u8]) -> Result<Option<Step>, ProtocolError> {
        match bytes.get(self.at..self.at + 2) {
            None => Ok(Some(Step::Incomplete)),
            Some(b"\r\n") => Ok(self.next(self.at + 2)),
            Some(_) => Err(ProtocolError::WrongLength),
        }
    }

    /// An argument ends.
    #[inline]
    fn next(&mut self, behind: usize) -> Option<Step> {
        self.at = behind;
        self.left -= 1;
        self.state = if self.left == 0 { State::Start } else { State::Length };
        (self.left == 0).then_some(Step::Complete)
    }

    /// Whether it is through with a command's last argument.
    pub(crate) const fn is_through(&self) -> bool {
        matches!(self.state, State::Start) && self.left == 0 && self.at > 0
    }
}

/// The number in the line from `begin` on, and what is behind the line; nothing while the line has no end.
#[inline]
fn number(bytes: &[u8], begin: usize, long: ProtocolError) -> Result<Line, ProtocolError> {
    // Nearly all of them have one or two digits.
    let (mut number, mut at) = (0_i64, begin);
    while let Some(digit) = bytes.get(at).map(|byte| byte.wrapping_sub(b'0')).filter(|d| *d < 10) {
        number = number * 10 + i64::from(digit);
        at += 1;
        if at - begin > 9 {
            break;
        }
    }
    match bytes.get(at..at + 2) {
        Some(b"\r\n") if at > begin => Ok(Some((Some(number), at + 2))),
        _ => odd_number(&bytes[begin..], begin, long),
    }
}

/// As [`number`], of a line that has more to it than a few digits.
#[cold]
fn odd_number(rest: &[u8], begin: usize, long: ProtocolError) -> Result<Line, ProtocolError> {
    match rest.iter().take(LONGEST_NUMBER).position(|byte| *byte == b'\n') {
        Some(end) => {
            let text = rest[..end].strip_suffix(b"\r");
            Ok(Some((text.and_then(crate::number::parse), begin + end + 1)))
        }
        None if rest.len() >= LONGEST_NUMBER => Err(long),
        None => Ok(None),
    }
}
