//! Requests as most are, in one pass: a GET of a path that is to be looked up as it stands, by HTTP/1.1, with a host and no field
//! that says more about what is wanted.
//!
//! Whatever is otherwise is left to the parser and the judge for all requests; what is read here is what they
//! would have said.

use crate::fields::is_authority;
use crate::limits::FIELD_LIMIT;
use crate::plan::{Answer, Body, Persistence, Plan};
use crate::status::Status;
use crate::{Entry, Site, Target};

/// What a byte may be in: a field's name, a Host field, a path that is to be looked up as it stands.
const NAME: u8 = 1;
const AUTHORITY: u8 = 2;
const PATH: u8 = 4;

const USES: &[u8; 256] = &{
    let mut uses = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let this = byte as u8;
        // RFC 9110, section 5.6.2.
        let name = this.is_ascii_alphanumeric()
            || matches!(
                this,
                b'!' | b'#'
                    | b'$'
                    | b'%'
                    | b'&'
                    | b'\''
                    | b'*'
                    | b'+'
                    | b'-'
                    | b'.'
                    | b'^'
                    | b'_'
                    | b'`'
                    | b'|'
                    | b'~'
            );
        let path = this.is_ascii_graphic() && !matches!(this, b'%' | b'#' | b'?');
        uses[byte] = if name { NAME } else { 0 }
            | if is_authority(this) { AUTHORITY } else { 0 }
            | if path { PATH } else { 0 };
        byte += 1;
    }
    uses
};

/// Where the first byte from `at` on is that does not have that use.
#[inline]
fn end_of(uses: u8, bytes: &[u8], at: usize) -> usize {
    let rest = bytes.get(at..).unwrap_or_default();
    let end = rest.iter().position(|&byte| USES[usize::from(byte)] & uses == 0);
    at + end.unwrap_or(rest.len())
}

const ONES: u64 = 0x0101_0101_0101_0101;
const TOPS: u64 = 0x80 * ONES;

/// Where the first byte from `at` on is that is less than `least`, or DEL, or, in a target, no ASCII: eight at a time.
#[inline]
fn end_of_text<const TARGET: bool>(least: u8, bytes: &[u8], mut at: usize) -> usize {
    while let Some(word) = bytes.get(at..).and_then(|rest| rest.first_chunk()) {
        let word = u64::from_le_bytes(*word);
        // The top bit of each byte that is less; of others only where one below it is, too.
        let less = |word: u64, least: u8| word.wrapping_sub(u64::from(least) * ONES) & !word;
        let mut found = less(word, least) | less(word ^ (0x7f * ONES), 1);
        if TARGET {
            found |= word;
        }
        if found & TOPS != 0 {
            return at + (found & TOPS).trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    while bytes
        .get(at)
        .is_some_and(|&byte| byte >= least && byte != 0x7f && !(TARGET && byte > 0x7f))
    {
        at += 1;
    }
    at
}

/// Whether a field asks for something, or says how long the request is. One of `Connection: keep-alive`, the usual, does not.
#[inline]
fn says_more(name: &[u8], value: &[u8]) -> bool {
    let is = |known: &[u8]| name.eq_ignore_ascii_case(known);
    match name.len() {
        5 => is(b"range"),
        6 => is(b"expect"),
        8 => is(b"if-range") || is(b"if-match"),
        10 => is(b"connection") && value != b"keep-alive",
        13 => is(b"if-none-match"),
        14 => is(b"content-length"),
        17 => is(b"transfer-encoding"),
        _ => false,
    }
}

/// Paths that are remembered; a power of two, so that an index is a mask.
const PATHS: usize = 32;
/// Longer lines with a host are not remembered.
const HOST: usize = 64;
/// So many fields have their names remembered, by the place that they have in a head, if they are no longer.
const NAMES: usize = 8;
const LONGEST_NAME: usize = 24;

/// What requests have in common: where a path was found, each in the one place that it has; the line with the host; and
/// the names of fields that say no more, with what is between them and their values.
pub(crate) struct Usual {
    paths: [Option<&'static Entry>; PATHS],
    host: [u8; HOST],
    host_length: usize,
    names: [([u8; LONGEST_NAME], u8); NAMES],
}

impl Usual {
    /// Nothing is known yet.
    pub(crate) const NEW: Self = Self {
        paths: [None; PATHS],
        host: [0; HOST],
        host_length: 0,
        names: [([0; LONGEST_NAME], 0); NAMES],
    };

    /// The length of the usual request that `bytes` begin with, and its answer; `None` when it is another, or not
    /// complete.
    #[inline]
    pub(crate) fn read(&mut self, bytes: &[u8], site: &Site) -> Option<(usize, Plan)> {
        const BEGIN: &[u8] = b"GET /";
        const VERSION: &[u8] = b" HTTP/1.1\r\n";
        if !bytes.starts_with(BEGIN) {
            return None;
        }
        let begin = BEGIN.len() - 1;
        let end = end_of(PATH, bytes, begin + 1);
        let path = bytes.get(begin..end)?;
        let mut at = end;
        if bytes.get(at) == Some(&b'?') {
            at = end_of_text::<true>(b'!', bytes, at);
        }
        if !bytes.get(at..)?.starts_with(VERSION) {
            return None;
        }
        let answer = self.find(path, site)?;
        let length = self.fields(bytes, at + VERSION.len())?;
        Some((length, Plan { answer, persistence: Persistence::Open, body: Body::Sent }))
    }

    /// What is at a path; `None` when it has to be normalised first.
    #[inline]
    fn find(&mut self, path: &[u8], site: &Site) -> Option<Answer> {
        let place = &mut self.paths[place(path)];
        let known = match place {
            Some(entry) if entry.path.as_bytes() == path => Some(*entry),
            _ if has_dot_segment(path) => return None,
            _ => {
                let found = site.entry(path);
                *place = found.or(*place);
                found
            }
        };
        Some(match known.map(|entry| entry.target) {
            Some(Target::File(index)) => Answer::File(index),
            Some(Target::Directory(location)) => Answer::Moved(location),
            None => Answer::Status(Status::NotFound),
        })
    }

    /// Where the fields end that begin at `at`, and the head with them.
    #[inline]
    fn fields(&mut self, bytes: &[u8], mut at: usize) -> Option<usize> {
        let mut has_host = false;
        for number in 0..=FIELD_LIMIT {
            let rest = bytes.get(at..)?;
            let known = &self.host[..self.host_length.min(HOST)];
            if !has_host && !known.is_empty() && rest.starts_with(known) {
                has_host = true;
                at += known.len();
                continue;
            }
            if rest.starts_with(b"\r\n") {
                return has_host.then_some(at + 2);
            }
            if let Some(length) = self.known_field(number, rest) {
                at += length;
                continue;
            }
            let (length, begin, is_host) = field(rest)?;
            if !is_host {
                self.learn_name(number, &rest[..begin]);
            } else {
                if has_host {
                    return None;
                }
                has_host = true;
                self.learn_host(&rest[..length]);
            }
            at += length;
        }
        None
    }

    /// The length of a field, if it has the name that the one in its place had in another request.
    #[inline]
    fn known_field(&self, number: usize, rest: &[u8]) -> Option<usize> {
        let (name, length) = self.names.get(number)?;
        let name = name.get(..usize::from(*length)).filter(|name| !name.is_empty())?;
        if !rest.starts_with(name) {
            return None;
        }
        let end = end_of_text::<false>(b' ', rest, name.len());
        rest.get(end..)?.starts_with(b"\r\n").then_some(end + 2)
    }

    /// Remembers the name of a field, whatever its value is: one that says more does so by its name, or not at all.
    #[cold]
    fn learn_name(&mut self, number: usize, begin: &[u8]) {
        // But this.
        let says_more = begin.len() >= 10 && begin[..10].eq_ignore_ascii_case(b"connection");
        if let Some((name, length)) = self.names.get_mut(number).filter(|_| !says_more) {
            *length = 0;
            if let Some(place) = name.get_mut(..begin.len()) {
                place.copy_from_slice(begin);
                *length = begin.len() as u8;
            }
        }
    }

    #[cold]
    fn learn_host(&mut self, line: &[u8]) {
        self.host_length = 0;
        if let Some(place) = self.host.get_mut(..line.len()) {
            place.copy_from_slice(line);
            self.host_length = line.len();
        }
    }
}

/// The place of a path.
#[inline]
fn place(path: &[u8]) -> usize {
    let end = path.last_chunk::<8>().map_or(0, |end| u64::from_le_bytes(*end));
    // The upper bits of a product with an odd number depend on all bits of the key.
    let key = (end ^ path.len() as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (key >> 32) as usize % PATHS
}

/// Whether a segment begins with a dot: it may be one that is removed.
#[inline]
fn has_dot_segment(path: &[u8]) -> bool {
    path.windows(2).any(|pair| pair == b"/.")
}

/// The length of the field that `rest` begins with, where its value begins, and whether it is the host; `None` when it
/// says more.
#[inline]
fn field(rest: &[u8]) -> Option<(usize, usize, bool)> {
    let colon = end_of(NAME, rest, 0);
    if colon == 0 || rest.get(colon) != Some(&b':') {
        return None;
    }
    let name = &rest[..colon];
    let begin = colon + 1 + usize::from(rest.get(colon + 1) == Some(&b' '));
    let is_host = name.len() == 4 && name.eq_ignore_ascii_case(b"host");
    let end = match is_host {
        true => end_of(AUTHORITY, rest, begin),
        false => end_of_text::<false>(b' ', rest, begin),
    };
    let ended = rest.get(end..)?.starts_with(b"\r\n");
    (ended && !says_more(name, &rest[begin..end])).then_some((end + 2, begin, is_host))
}

#[cfg(test)]
mod tests {
    use super::{Usual, end_of_text};
    use crate::fields::Interim;
    use crate::judge::{Verdict, judge};
    use crate::plan::Plan;
    use crate::request::{self, Reading};
    use crate::routes::SiteAlone;
    use crate::{Entry, File, HEAD_LIMIT, Limits, Site, Target};
    use alloc::string::String;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    const FILE: File = File { content: b"x", content_type: "text/plain", etag: "\"e\"" };
    const SITE: Site = Site {
        files: &[FILE],
        entries: &[
            Entry { path: "/", target: Target::File(0) },
            Entry { path: "/a", target: Target::File(0) },
            Entry { path: "/d", target: Target::Directory("/d/") },
            Entry { path: "/.b", target: Target::File(0) },
        ],
        not_found: None,
    };

    /// What all requests are read by.
    fn whole(bytes: &[u8]) -> Option<(usize, Plan)> {
        let (mut scratch, limits) = ([0; HEAD_LIMIT], Limits::default());
        let reading = request::read(bytes, |request, head| {
            judge(request, head, (&SITE, &mut SiteAlone), &limits, &mut scratch)
        });
        match reading {
            Reading::Complete(length, Verdict::Planned { plan, body: 0, interim: Interim::No }) => {
                Some((length, plan))
            }
            _ => None,
        }
    }

    /// Whether it is read, at first and again.
    fn agree(bytes: &[u8]) -> bool {
        let mut usual = Usual::NEW;
        agree_after(&mut usual, bytes)
    }

    fn agree_after(usual: &mut Usual, bytes: &[u8]) -> bool {
        let first = usual.read(bytes, &SITE);
        let read = usual.read(bytes, &SITE);
        assert_eq!(first, read, "{}", bytes.escape_ascii());
        assert!(read.is_none() || read == whole(bytes), "{read:?}, {}", bytes.escape_ascii());
        read.is_some()
    }

    #[test]
    fn usual_requests_are_read() {
        for head in [
            "GET / HTTP/1.1\r\nHost: h\r\n\r\n",
            "GET /a?b=%20#c HTTP/1.1\r\nhost:10.0.0.1:80\r\nX-Request: 0123456789abcdef\r\n\r\n",
            "GET /d HTTP/1.1\r\nHost: [::1]\r\nUser-Agent: \u{fc}\r\nAccept: */*\r\n\r\nmore",
            "GET /nothing HTTP/1.1\r\nConnection: keep-alive\r\nHost: \r\nX:\r\n\r\n",
        ] {
            assert!(agree(head.as_bytes()), "{head}");
            for length in 0..head.len() - 4 {
                agree(&head.as_bytes()[..length]);
            }
        }
    }

    #[test]
    fn others_are_left_to_the_parser() {
        for head in [
            "HEAD / HTTP/1.1\r\nHost: h\r\n\r\n",
            "GET / HTTP/1.0\r\nHost: h\r\n\r\n",
            "GET /./a HTTP/1.1\r\nHost: h\r\n\r\n",
            "GET /%61 HTTP/1.1\r\nHost: h\r\n\r\n",
            "GET /a#b HTTP/1.1\r\nHost: h\r\n\r\n",
            "GET /a?\u{fc} HTTP/1.1\r\nHost: h\r\n\r\n",
            "GET / HTTP/1.1\r\n\r\n",
            "GET / HTTP/1.1\nHost: h\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: h\n\r\n",
            "GET / HTTP/1.1\r\nHost: h\r\nHost: h\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: h\r\nRange: bytes=0-1\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: h\r\nIF-NONE-MATCH: *\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: h\r\nX: a\tb\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: h\r\nX : b\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: h\r\nX: b\r\n c\r\n\r\n",
        ] {
            assert!(!agree(head.as_bytes()), "{head}");
        }
    }

    #[test]
    fn too_many_fields_are_left_to_the_parser() {
        for count in [62, 63, 64, 65, 66] {
            let head =
                String::from("GET / HTTP/1.1\r\nHost: h\r\n") + &"X: y\r\n".repeat(count) + "\r\n";
            assert_eq!(agree(head.as_bytes()), count < 64, "{count}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 4_000, ..ProptestConfig::default() })]
        /// A usual request, and one in which a few bytes are others.
        #[test]
        fn what_is_read_is_what_the_parser_reads(
            target in "/[ad.]{0,3}(\\?[a-z0-9=&]{0,20})?",
            fields in prop::collection::vec(
                ("(X-[A-Za-z]{1,12}|Accept|Connection|Host|host|Range|Expect|If-Match)", "[ a-z0-9.:*/-]{0,30}"),
                0..4,
            ),
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3),
        ) {
            let mut text = alloc::format!("GET {target} HTTP/1.1\r\nHost: h\r\n");
            for (name, value) in &fields {
                text += &[name, ": ", value, "\r\n"].concat();
            }
            let mut head = Vec::from(text + "\r\n");
            let mut usual = Usual::NEW;
            agree_after(&mut usual, &head);
            for (at, byte) in changes {
                let at = at.index(head.len());
                head[at] = byte;
            }
            // What is known of the one before makes no difference.
            let known = agree_after(&mut usual, &head);
            prop_assert_eq!(known, agree(&head));
        }

        #[test]
        fn the_end_of_text_is_where_it_is_byte_by_byte(
            bytes in prop::collection::vec(prop_oneof![any::<u8>(), Just(b'x'), Just(0x7f), Just(b' ')], 0..40),
            least in prop_oneof![Just(b' '), Just(b'!')],
        ) {
            let by_byte = |target: bool| bytes.iter().position(|&byte| {
                byte < least || byte == 0x7f || target && byte > 0x7f
            });
            prop_assert_eq!(end_of_text::<false>(least, &bytes, 0), by_byte(false).unwrap_or(bytes.len()));
            prop_assert_eq!(end_of_text::<true>(least, &bytes, 0), by_byte(true).unwrap_or(bytes.len()));
        }
    }
}
