//! From a request target to a path of the site (RFC 9112, section 3.2; RFC 3986, sections 2.1 and
//! 5.2.4).

/// The target is not of a form that names a path, or its percent-encoding is broken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Malformed;

/// The path of `target`, which is in origin form or absolute form, without its query.
pub(crate) fn path(target: &[u8]) -> Result<&[u8], Malformed> {
    let path = if target.first() == Some(&b'/') { target } else { after_authority(target)? };
    match path.iter().position(|byte| matches!(byte, b'?' | b'#')) {
        Some(end) if path[end] == b'#' => Err(Malformed),
        Some(end) => Ok(&path[..end]),
        None => Ok(path),
    }
}

/// The path of an absolute `http` target. An empty one is the root.
fn after_authority(target: &[u8]) -> Result<&[u8], Malformed> {
    let colon = target.iter().position(|&byte| byte == b':').ok_or(Malformed)?;
    let (scheme, rest) = target.split_at(colon);
    if !scheme.eq_ignore_ascii_case(b"http") && !scheme.eq_ignore_ascii_case(b"https") {
        return Err(Malformed);
    }
    let rest = rest.strip_prefix(b"://").ok_or(Malformed)?;
    match rest.iter().position(|byte| matches!(byte, b'/' | b'?' | b'#')) {
        Some(0) => Err(Malformed),
        Some(end) if rest[end] == b'/' => Ok(&rest[end..]),
        Some(end) if rest[end] == b'#' => Err(Malformed),
        None if rest.is_empty() => Err(Malformed),
        _ => Ok(b"/"),
    }
}

/// The path of a target as most are: in origin form, and with nothing in the path that has to be normalised before
/// it can be looked up.
pub(crate) fn plain(target: &[u8]) -> Option<&[u8]> {
    let mut before = 0;
    for (at, &byte) in target.iter().enumerate() {
        match byte {
            b'/' => {}
            _ if at == 0 => return None,
            b'?' => return target.get(..at),
            b'.' if before == b'/' => return None,
            b'%' | b'#' => return None,
            _ => {}
        }
        before = byte;
    }
    (!target.is_empty()).then_some(target)
}

/// Decodes `path` and removes its dot segments. Above the root there is only the root.
///
/// `None` when an encoded slash makes it a path that no file can have: it is data of a segment,
/// and must not be taken for a separator.
///
/// `scratch` is at least as long as `path`.
pub(crate) fn normalise<'s>(
    path: &[u8],
    scratch: &'s mut [u8],
) -> Result<Option<&'s [u8]>, Malformed> {
    let mut has_encoded_slash = false;
    let path = resolve(path, scratch, |decoded| {
        has_encoded_slash |= decoded == b'/';
        true
    })?;
    Ok((!has_encoded_slash).then_some(path))
}

/// [`normalise`], but for encoded slashes and percent signs, which stay encoded: what is data of a segment is told
/// from what is not. [`decode_in_place`] does the rest.
pub(crate) fn normalise_segments<'s>(
    path: &[u8],
    scratch: &'s mut [u8],
) -> Result<&'s [u8], Malformed> {
    resolve(path, scratch, |decoded| !matches!(decoded, b'/' | b'%'))
}

/// Decodes what [`normalise_segments`] has left of a segment, and says how long it is then.
pub(crate) fn decode_in_place(segment: &mut [u8]) -> usize {
    let (mut from, mut to) = (0, 0);
    while let Some(&byte) = segment.get(from) {
        let digits = segment.get(from + 1).and_then(hex).zip(segment.get(from + 2).and_then(hex));
        let (decoded, step) = match (byte, digits) {
            (b'%', Some((high, low))) => (high << 4 | low, 3),
            _ => (byte, 1),
        };
        segment[to] = decoded;
        (from, to) = (from + step, to + 1);
    }
    to
}

/// Removes the dot segments of `path`, and decodes those octets that `decodes` says.
fn resolve<'s>(
    path: &[u8],
    scratch: &'s mut [u8],
    mut decodes: impl FnMut(u8) -> bool,
) -> Result<&'s [u8], Malformed> {
    let mut length = 0;
    let mut segments = path.strip_prefix(b"/").ok_or(Malformed)?.split(|&byte| byte == b'/');
    let mut next = segments.next();
    while let Some(segment) = next {
        next = segments.next();
        let start = length;
        scratch[length] = b'/';
        length += 1;
        let mut bytes = segment.iter();
        while let Some(&byte) = bytes.next() {
            if byte != b'%' {
                scratch[length] = byte;
                length += 1;
                continue;
            }
            let digits = (bytes.next(), bytes.next());
            let (Some(high), Some(low)) = (digits.0.and_then(hex), digits.1.and_then(hex)) else {
                return Err(Malformed);
            };
            let octet = high << 4 | low;
            let escape = [b'%', *digits.0.unwrap_or(&0), *digits.1.unwrap_or(&0)];
            let kept: &[u8] = if decodes(octet) { &[octet] } else { &escape };
            scratch[length..length + kept.len()].copy_from_slice(kept);
            length += kept.len();
        }
        let kept = match &scratch[start + 1..length] {
            b"." => start,
            b".." => scratch[..start].iter().rposition(|&byte| byte == b'/').unwrap_or(0),
            _ => continue,
        };
        length = kept;
        if next.is_none() {
            scratch[length] = b'/';
            length += 1;
        }
    }
    Ok(&scratch[..length])
}

pub(crate) fn hex(digit: &u8) -> Option<u8> {
    char::from(*digit).to_digit(16).map(|value| value as u8)
}

#[cfg(test)]
mod tests {
    use super::{Malformed, normalise, path, plain};
    use proptest::prelude::*;

    #[test]
    fn forms_of_targets() {
        for (target, expected) in [
            ("/", Ok("/")),
            ("/a/b?c=/d", Ok("/a/b")),
            ("/?", Ok("/")),
            ("http://h/a?b", Ok("/a")),
            ("HTTPS://h:443/a", Ok("/a")),
            ("http://h", Ok("/")),
            ("http://h?q", Ok("/")),
            ("http:///a", Err(Malformed)),
            ("http://", Err(Malformed)),
            ("http:/a", Err(Malformed)),
            ("ftp://h/a", Err(Malformed)),
            ("*", Err(Malformed)),
            ("h:80", Err(Malformed)),
            ("a/b", Err(Malformed)),
            ("/a#b", Err(Malformed)),
            ("http://h#b", Err(Malformed)),
            ("/a?b#c", Ok("/a")),
        ] {
            assert_eq!(path(target.as_bytes()), expected.map(str::as_bytes), "{target}");
        }
    }

    #[test]
    fn decoding_and_dot_segments() {
        for (given, expected) in [
            ("/", Ok(Some("/"))),
            ("/a/./b", Ok(Some("/a/b"))),
            ("/a/../b", Ok(Some("/b"))),
            ("/a/b/..", Ok(Some("/a/"))),
            ("/a/.", Ok(Some("/a/"))),
            ("/.", Ok(Some("/"))),
            ("/..", Ok(Some("/"))),
            ("/../../etc/passwd", Ok(Some("/etc/passwd"))),
            ("/%2e%2E/x", Ok(Some("/x"))),
            ("/a/.%2e/b", Ok(Some("/b"))),
            ("/a//b", Ok(Some("/a//b"))),
            ("/a//../b", Ok(Some("/a/b"))),
            ("/...", Ok(Some("/..."))),
            ("/.hidden", Ok(Some("/.hidden"))),
            ("/a%20b", Ok(Some("/a b"))),
            ("/%c3%bc", Ok(Some("/ü"))),
            ("/%2561", Ok(Some("/%61"))),
            ("/a%2fb", Ok(None)),
            ("/..%2f..%2fetc", Ok(None)),
            ("/%", Err(Malformed)),
            ("/%4", Err(Malformed)),
            ("/%4g", Err(Malformed)),
            ("/%+1", Err(Malformed)),
        ] {
            let mut scratch = [0; 64];
            let result = normalise(given.as_bytes(), &mut scratch);
            assert_eq!(result, expected.map(|path| path.map(str::as_bytes)), "{given}");
        }
    }

    proptest! {
        #[test]
        fn a_normalised_path_is_absolute_and_has_no_dot_segments(
            given in "(/|\\.|%2e|%2E|a|%61){0,40}",
        ) {
            let given = alloc::format!("/{given}");
            let mut scratch = alloc::vec![0; given.len()];
            let result = normalise(given.as_bytes(), &mut scratch).expect("well formed");
            let path = core::str::from_utf8(result.expect("no encoded slash")).expect("ASCII");
            prop_assert!(path.starts_with('/'));
            prop_assert!(path.split('/').all(|segment| segment != "." && segment != ".."));
            let is_plain = plain(path.as_bytes()) == Some(path.as_bytes());
            prop_assert!(is_plain || path.contains("/.") || path.contains(['?', '%', '#']));
        }

        #[test]
        fn a_plain_path_is_its_own_normal_form(given in "(/|\\.|a|b|%61){0,20}", query in "(\\?[ab?/.%]{0,5})?") {
            let target = alloc::format!("/{given}{query}");
            let given = alloc::format!("/{given}");
            let mut scratch = alloc::vec![0; given.len()];
            let found = plain(target.as_bytes());
            prop_assert_eq!(found.is_some(), !given.contains("/.") && !given.contains('%'));
            if let Some(found) = found {
                prop_assert_eq!(path(target.as_bytes()), Ok(found));
                let result = normalise(given.as_bytes(), &mut scratch);
                prop_assert_eq!(result, Ok(Some(given.as_bytes())));
            }
        }

        #[test]
        fn no_bytes_make_it_panic(given in prop::collection::vec(any::<u8>(), 0..64)) {
            let mut scratch = alloc::vec![0; given.len()];
            let _ = normalise(&given, &mut scratch);
            let _ = (path(&given), plain(&given));
        }
    }
}
