//! Bodies that come in chunks (RFC 9112, section 7.1).
//!
//! Extensions are ignored and trailer fields dropped, as the specification allows. Both are bounded, lines end in
//! CRLF and nothing else, and a size is digits and nothing else: whatever stands before this server must not see
//! another end of the body than it does.

/// Bytes of extensions and trailer fields in a body.
const MOST_OVERHEAD: u16 = 4096;

/// What the bytes that come are of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    /// A size, of which digits have been seen.
    Size {
        digits: bool,
    },
    /// What follows a size, up to the end of the line.
    Extension,
    /// The line feed of a line with a size.
    SizeEnd,
    /// A chunk's data.
    Data,
    /// The two bytes behind the data.
    DataEnd,
    DataFeed,
    /// A line of the trailer section, of which bytes have been seen.
    Trailer {
        begun: bool,
    },
    /// The line feed of such a line.
    TrailerEnd {
        last: bool,
    },
    /// All is there.
    End,
}

/// How far a body in chunks has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Chunked {
    state: State,
    /// Of the chunk.
    left: u64,
    overhead: u16,
}

/// What the next bytes are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Next {
    /// So many were framing, and there is nothing else yet.
    Framing(usize),
    /// Behind so many there are so many of data, or fewer if there are not so many yet.
    Data(usize, u64),
    /// After so many the body is complete.
    End(usize),
}

/// The framing is broken: nothing that follows can be told apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Malformed;

impl Chunked {
    /// Nothing has come yet.
    pub(crate) const fn new() -> Self {
        Self { state: State::Size { digits: false }, left: 0, overhead: 0 }
    }

    /// Reads framing, up to data or to the end.
    pub(crate) fn next(&mut self, bytes: &[u8]) -> Result<Next, Malformed> {
        for (at, &byte) in bytes.iter().enumerate() {
            match self.state {
                State::Data => return Ok(Next::Data(at, self.left)),
                State::End => return Ok(Next::End(at)),
                _ => self.state = self.framing(byte)?,
            }
        }
        let all = bytes.len();
        Ok(if self.state == State::End { Next::End(all) } else { Next::Framing(all) })
    }

    /// So many bytes of data have been taken.
    pub(crate) fn took(&mut self, bytes: u64) {
        self.left -= bytes;
        if self.left == 0 {
            self.state = State::DataEnd;
        }
    }

    fn framing(&mut self, byte: u8) -> Result<State, Malformed> {
        Ok(match (self.state, byte) {
            (State::Size { .. }, digit) if digit.is_ascii_hexdigit() => {
                let value = u64::from(char::from(digit).to_digit(16).unwrap_or(0));
                self.left = self.left.checked_mul(16).ok_or(Malformed)? | value;
                State::Size { digits: true }
            }
            (State::Size { digits: true } | State::Extension, b'\r') => State::SizeEnd,
            (State::Size { digits: true }, b';' | b' ' | b'\t') => State::Extension,
            (State::Extension, byte) => {
                self.spend(byte)?;
                State::Extension
            }
            (State::SizeEnd, b'\n') if self.left == 0 => State::Trailer { begun: false },
            (State::SizeEnd, b'\n') => State::Data,
            (State::DataEnd, b'\r') => State::DataFeed,
            (State::DataFeed, b'\n') => State::Size { digits: false },
            (State::Trailer { begun }, b'\r') => State::TrailerEnd { last: !begun },
            (State::Trailer { .. }, byte) => {
                self.spend(byte)?;
                State::Trailer { begun: true }
            }
            (State::TrailerEnd { last: false }, b'\n') => State::Trailer { begun: false },
            (State::TrailerEnd { last: true }, b'\n') => State::End,
            _ => return Err(Malformed),
        })
    }

    /// A byte that is ignored: any that a field may have.
    fn spend(&mut self, byte: u8) -> Result<(), Malformed> {
        self.overhead += 1;
        let allowed = byte >= b' ' && byte != 0x7f || byte == b'\t';
        if allowed && self.overhead <= MOST_OVERHEAD { Ok(()) } else { Err(Malformed) }
    }
}

#[cfg(test)]
mod tests {
    use super::{Chunked, MOST_OVERHEAD, Malformed, Next};
    use alloc::format;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    /// The data, and how many bytes came behind the body; `None` when it is not complete.
    fn decode(pieces: &[&[u8]]) -> Result<Option<(Vec<u8>, usize)>, Malformed> {
        let (mut chunked, mut data, mut behind) = (Chunked::new(), Vec::new(), None);
        for mut piece in pieces.iter().copied() {
            if let Some(behind) = &mut behind {
                *behind += piece.len();
                continue;
            }
            while !piece.is_empty() {
                match chunked.next(piece)? {
                    Next::Framing(count) => piece = &piece[count..],
                    Next::Data(before, left) => {
                        let rest = &piece[before..];
                        let count = rest.len().min(left as usize);
                        data.extend(&rest[..count]);
                        chunked.took(count as u64);
                        piece = &rest[count..];
                    }
                    Next::End(count) => {
                        behind = Some(piece.len() - count);
                        break;
                    }
                }
            }
        }
        Ok(behind.map(|behind| (data, behind)))
    }

    #[test]
    fn bodies_of_the_specification_and_broken_ones() {
        let whole = |text: &str| decode(&[text.as_bytes()]);
        let good = |data: &[u8], behind| Ok(Some((data.to_vec(), behind)));
        assert_eq!(whole("0\r\n\r\nGET"), good(b"", 3));
        assert_eq!(
            whole("4\r\nWiki\r\n5;a=\"b\"\r\npedia\r\n000\r\nX: y\r\nZ:\r\n\r\n"),
            good(b"Wikipedia", 0)
        );
        assert_eq!(whole("A\r\n0123456789\r\n0\r\n\r\n"), good(b"0123456789", 0));
        assert_eq!(whole("4\r\nWik"), Ok(None));
        for broken in [
            "\r\n",
            "x\r\n",
            "4\n",
            "4\r\nWiki\n",
            "4\r\nWikix",
            "-1\r\n",
            "+4\r\n",
            "0x4\r\n",
            ";\r\n",
            " 4\r\n",
            "10000000000000000\r\n",
            "0\r\n\n",
            "0\r\nX: y\n",
            "4 \rx",
            "4;a\n",
            "0\r\nX\0: y\r\n\r\n",
            "4\r\r\n",
        ] {
            assert_eq!(whole(broken), Err(Malformed), "{broken:?}");
        }
        let long = |count: u16| format!("0\r\n{}\r\n\r\n", "x".repeat(usize::from(count)));
        assert_eq!(whole(&long(MOST_OVERHEAD)), good(b"", 0));
        assert_eq!(whole(&long(MOST_OVERHEAD + 1)), Err(Malformed));
    }

    proptest! {
        #[test]
        fn any_chunks_in_any_pieces_give_the_same_data(
            chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..40), 0..8),
            cuts in prop::collection::vec(1usize..30, 0..40),
            extension in prop::sample::select(alloc::vec!["", ";a", " ; b=c"]),
        ) {
            let mut text = Vec::new();
            for chunk in &chunks {
                text.extend(format!("{:x}{extension}\r\n", chunk.len()).bytes());
                text.extend(chunk);
                text.extend(b"\r\n");
            }
            text.extend(b"0\r\nT: u\r\n\r\nrest");
            let (mut rest, mut pieces) = (&text[..], Vec::new());
            for cut in cuts {
                let (piece, behind) = rest.split_at(cut.min(rest.len()));
                pieces.push(piece);
                rest = behind;
            }
            pieces.push(rest);
            prop_assert_eq!(decode(&pieces), Ok(Some((chunks.concat(), 4))));
        }

        #[test]
        fn no_bytes_make_it_panic_and_cutting_them_changes_nothing(
            text in "[0-3a\\r\\n;x]{0,40}",
            cut in 0usize..40,
        ) {
            let (first, second) = text.as_bytes().split_at(cut.min(text.len()));
            prop_assert_eq!(decode(&[first, second]), decode(&[text.as_bytes()]));
        }
    }
}
