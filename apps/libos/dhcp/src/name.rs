//! Names of hosts and domains.

use core::fmt;

/// The longest name (RFC 1035, 2.3.4, without the root's length byte and that of the first label).
pub const LONGEST_NAME: usize = 253;

/// A domain name as text: labels of letters, digits, hyphens and underscores, with dots between them.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Name {
    length: u8,
    bytes: [u8; LONGEST_NAME],
}

impl Name {
    /// The name that these bytes spell. NULs behind it, which some servers send (RFC 2132, 2), and the
    /// root's dot are left out. `None` for what is no name: it may end in a file or on a command line.
    pub fn new(bytes: impl IntoIterator<Item = u8>) -> Option<Self> {
        let mut name = Self { length: 0, bytes: [0; LONGEST_NAME] };
        let (mut label, mut ended) = (0, false);
        for byte in bytes {
            match byte {
                0 => {
                    ended = true;
                    continue;
                }
                // A label has at most 63 bytes and at least one.
                b'.' if label > 0 => label = 0,
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' if label < 63 => label += 1,
                _ => return None,
            }
            if ended {
                return None;
            }
            *name.bytes.get_mut(usize::from(name.length))? = byte;
            name.length += 1;
        }
        if name.length > 0 && label == 0 {
            name.length -= 1;
        }
        (name.length > 0).then_some(name)
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        str::from_utf8(self.as_bytes()).unwrap_or_default()
    }

    /// The name's bytes, which are ASCII.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }

    /// Its labels.
    pub(crate) fn labels(&self) -> impl Iterator<Item = &[u8]> {
        self.as_bytes().split(|byte| *byte == b'.')
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
