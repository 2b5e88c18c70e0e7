//! Commands that are a line of words, as they are typed.

use crate::arguments::Arguments;
use crate::bytes::push;
use crate::failure::ProtocolError;

/// Splits a line, which begins at `begin` of the command's bytes, into words. A word in quotation marks may have
/// spaces; in double ones `\n`, `\x41` and the like are what they are in C. False when there is no memory for the
/// arguments.
///
/// # Errors
/// [`ProtocolError::Quotes`].
pub(crate) fn split(
    line: &[u8],
    begin: usize,
    arguments: &mut Arguments,
) -> Result<bool, ProtocolError> {
    if line.iter().any(|byte| matches!(byte, b'"' | b'\'')) {
        return unquote(line, arguments);
    }
    let mut at = 0;
    for word in line.split(u8::is_ascii_whitespace) {
        if !word.is_empty() && !arguments.push(begin + at, word.len()) {
            return Ok(false);
        }
        at += word.len() + 1;
    }
    Ok(true)
}

/// As [`split`], of a line with quotation marks.
fn unquote(line: &[u8], arguments: &mut Arguments) -> Result<bool, ProtocolError> {
    let mut rest = line.trim_ascii_start();
    while !rest.is_empty() {
        let begin = arguments.decoded.len();
        loop {
            let (byte, behind) = match rest {
                [] => break,
                [space, ..] if space.is_ascii_whitespace() => break,
                [quote @ (b'"' | b'\''), quoted @ ..] => {
                    let Some(behind) = quotation(quoted, *quote, arguments)? else {
                        return Ok(false);
                    };
                    rest = behind;
                    // Nothing but a space may follow.
                    match rest.first() {
                        Some(byte) if !byte.is_ascii_whitespace() => {
                            return Err(ProtocolError::Quotes);
                        }
                        _ => break,
                    }
                }
                [byte, behind @ ..] => (*byte, behind),
            };
            if push(&mut arguments.decoded, byte).is_err() {
                return Ok(false);
            }
            rest = behind;
        }
        if !arguments.push(begin, arguments.decoded.len() - begin) {
            return Ok(false);
        }
        rest = rest.trim_ascii_start();
    }
    Ok(true)
}

/// Puts what is in quotation marks to the decoded bytes; returns what is behind. Nothing without memory.
fn quotation<'a>(
    mut rest: &'a [u8],
    quote: u8,
    arguments: &mut Arguments,
) -> Result<Option<&'a [u8]>, ProtocolError> {
    loop {
        let (byte, behind) = match rest {
            [] => return Err(ProtocolError::Quotes),
            [byte, behind @ ..] if *byte == quote => return Ok(Some(behind)),
            [b'\\', b'\'', behind @ ..] if quote == b'\'' => (b'\'', behind),
            [b'\\', rest @ ..] if quote == b'"' => escape(rest)?,
            [byte, behind @ ..] => (*byte, behind),
        };
        if push(&mut arguments.decoded, byte).is_err() {
            return Ok(None);
        }
        rest = behind;
    }
}

/// What is meant behind a backslash.
fn escape(rest: &[u8]) -> Result<(u8, &[u8]), ProtocolError> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    Ok(match rest {
        [] => return Err(ProtocolError::Quotes),
        [b'x', high, low, behind @ ..] if digit(*high).is_some() && digit(*low).is_some() => {
            let value = |byte| digit(byte).unwrap_or(0) as u8;
            (value(*high) << 4 | value(*low), behind)
        }
        [b'n', behind @ ..] => (b'\n', behind),
        [b'r', behind @ ..] => (b'\r', behind),
        [b't', behind @ ..] => (b'\t', behind),
        [b'a', behind @ ..] => (7, behind),
        [b'b', behind @ ..] => (8, behind),
        [byte, behind @ ..] => (*byte, behind),
    })
}
