//! A command that comes in pieces.
//!
//! Its bytes are kept until it is whole, but for long arguments, which are streamed to where they will stay. When
//! there is no memory for it, the rest of it is read and *discarded*, and it is answered by an error: the connection
//! and what is pipelined behind it go on.

use crate::arguments::{Argument, Arguments};
use crate::blobs::{BlobId, Blobs};
use crate::bytes::{append, push};
use crate::failure::{Failure, ProtocolError};
use crate::parser::{Parser, Step};
use reflex_collections::{Memory, Vec};

/// Bytes for which there always is room: those of a line with a number.
const RESERVE: usize = 64;
/// Bytes that are kept of what was used.
const KEPT: usize = 1 << 10;

/// An argument that is streamed.
#[derive(Clone, Copy)]
pub(crate) struct Stream {
    /// Where it goes; nowhere when it is discarded.
    pub(crate) blob: Option<BlobId>,
    /// Bytes that are still to come.
    pub(crate) left: usize,
}

pub(crate) struct Request {
    parser: Parser,
    pub(crate) arguments: Arguments,
    /// Its bytes, but for what was streamed.
    pub(crate) text: Vec<u8>,
    pub(crate) stream: Option<Stream>,
    /// There is one.
    pub(crate) begun: bool,
    /// It is discarded.
    pub(crate) lost: bool,
    /// Nothing but the end of its line is looked for.
    skips_line: bool,
}

impl Request {
    /// # Errors
    /// [`Failure::OutOfMemory`].
    pub(crate) fn new(memory: Memory) -> Result<Self, Failure> {
        let mut text = memory.vec();
        text.try_reserve_exact(RESERVE).map_err(|_| Failure::OutOfMemory)?;
        Ok(Self {
            parser: Parser::new(),
            arguments: Arguments::new(memory),
            text,
            stream: None,
            begun: false,
            lost: false,
            skips_line: false,
        })
    }

    /// Takes over a command of which only a part is there, at the beginning of `input`. Returns how many bytes it took.
    pub(crate) fn adopt(
        &mut self,
        parser: Parser,
        arguments: &mut Arguments,
        input: &[u8],
    ) -> usize {
        self.begun = true;
        self.parser = parser;
        core::mem::swap(&mut self.arguments, arguments);
        let seen = parser.seen();
        if append(&mut self.text, &input[..seen]).is_err() {
            self.skips_line = parser.in_line(&[], input);
            self.discard_text();
        }
        seen
    }

    /// Goes on with what is there.
    ///
    /// # Errors
    /// When that is no command.
    pub(crate) fn parse(&mut self, blobs: &mut Blobs) -> Result<Step, ProtocolError> {
        if self.skips_line {
            return Ok(Step::Incomplete);
        }
        loop {
            let step = self.parser.parse(&self.text, &mut self.arguments, self.lost)?;
            if self.lost {
                self.forget_parsed();
            }
            match step {
                Step::NoMemory => {
                    let through = self.parser.is_through();
                    self.discard(blobs);
                    if through {
                        return Ok(Step::Complete);
                    }
                }
                step => return Ok(step),
            }
        }
    }

    /// Takes what it needs of the bytes that come next; returns how many that were.
    pub(crate) fn take(&mut self, input: &[u8], blobs: &mut Blobs) -> usize {
        if self.skips_line {
            let end = input.iter().position(|byte| *byte == b'\n');
            return end.map_or(input.len(), |at| at + 1);
        }
        let wanted = self.parser.wants(&self.text, input);
        if append(&mut self.text, &input[..wanted]).is_ok() {
            return wanted;
        }
        self.skips_line = self.parser.in_line(&self.text, input);
        self.discard(blobs);
        if self.skips_line {
            self.text.clear();
        } else if let Some(length) = self.parser.argument_length() {
            // The part of it that is there already is not wanted any more.
            let there = self.forget(length);
            self.stream = Some(Stream { blob: None, left: length - there });
        }
        0
    }

    /// Whether the line that is skipped ends with what was taken.
    pub(crate) fn ends_line(&self, taken: &[u8]) -> bool {
        self.skips_line && taken.last() == Some(&b'\n')
    }

    /// The argument that was streamed is whole.
    pub(crate) fn streamed(&mut self, blobs: &mut Blobs) {
        let Some(Stream { blob, .. }) = self.stream.take() else { return };
        self.parser.streamed();
        if let Some(id) = blob
            && push(&mut self.arguments.list, Argument::Blob(id)).is_err()
        {
            blobs.release(id);
            self.discard(blobs);
        }
    }

    /// Has what is there and what is to come of it discarded.
    pub(crate) fn discard(&mut self, blobs: &mut Blobs) {
        self.release(blobs);
        self.discard_text();
    }

    /// Gives up all that it holds, and waits for another one.
    pub(crate) fn clear(&mut self, blobs: &mut Blobs) {
        self.release(blobs);
        self.stream = None;
        self.arguments.clear();
        self.parser = Parser::new();
        self.text.clear();
        if self.text.capacity() > KEPT {
            self.text.shrink_to(RESERVE);
        }
        if self.arguments.list.capacity() * size_of::<Argument>() > KEPT {
            self.arguments.list.shrink_to_fit();
        }
        self.arguments.decoded.shrink_to_fit();
        (self.begun, self.lost, self.skips_line) = (false, false, false);
    }

    /// Gives up the blobs that it holds.
    fn release(&mut self, blobs: &mut Blobs) {
        let held = self.arguments.list.iter().filter_map(|argument| match argument {
            Argument::Blob(id) => Some(*id),
            Argument::Text { .. } => None,
        });
        held.for_each(|id| blobs.release(id));
        self.arguments.list.clear();
        if let Some(stream) = &mut self.stream
            && let Some(id) = stream.blob.take()
        {
            blobs.release(id);
        }
    }

    fn discard_text(&mut self) {
        self.lost = true;
        self.arguments.clear();
        self.arguments.list.shrink_to_fit();
        self.arguments.decoded.shrink_to_fit();
        self.forget_parsed();
    }

    /// Forgets the bytes that the parser is through with.
    fn forget_parsed(&mut self) {
        self.forget(self.parser.at());
        self.parser.forget();
    }

    /// Forgets the first `most` bytes, or as many as there are; returns how many these were.
    fn forget(&mut self, most: usize) -> usize {
        let forgotten = most.min(self.text.len());
        self.text.copy_within(forgotten.., 0);
        self.text.truncate(self.text.len() - forgotten);
        forgotten
    }
}
