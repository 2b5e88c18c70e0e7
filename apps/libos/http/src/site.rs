//! A site: files and the paths they are found under. Plain constants, written by
//! `reflex-http-embed` at build time.

use crate::Error;

/// One file.
#[derive(Clone, Copy, Debug)]
pub struct File {
    /// Its bytes.
    pub content: &'static [u8],
    /// The value of Content-Type.
    pub content_type: &'static str,
    /// The strong entity tag with its quotes, such as `"\"5d41402abc4b2a76\""`.
    pub etag: &'static str,
}

/// What is at a path.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Target {
    /// The file of this index.
    File(u16),
    /// A directory without its trailing slash: the client is sent to this path, which is
    /// percent-encoded.
    Directory(&'static str),
}

/// A path and what is there.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// The absolute path, percent-decoded, such as `/docs/` or `/a file.txt`.
    pub path: &'static str,
    /// What is there.
    pub target: Target,
}

/// A site.
#[derive(Clone, Copy, Debug)]
pub struct Site {
    /// The files.
    pub files: &'static [File],
    /// The paths, sorted by length and then by bytes: most comparisons of the search are then of
    /// two numbers.
    pub entries: &'static [Entry],
    /// The file that is the body of a 404, if there is one.
    pub not_found: Option<u16>,
}

impl Site {
    /// What is at `path`.
    pub(crate) fn find(&self, path: &[u8]) -> Option<Target> {
        self.entry(path).map(|entry| entry.target)
    }

    /// The entry of `path`.
    pub(crate) fn entry(&self, path: &[u8]) -> Option<&'static Entry> {
        self.entries
            .binary_search_by(|entry| {
                let here = entry.path.as_bytes();
                here.len().cmp(&path.len()).then_with(|| here.cmp(path))
            })
            .ok()
            .map(|index| &self.entries[index])
    }

    /// The file of an index; indices are checked at start-up.
    pub(crate) fn file(&self, index: u16) -> &'static File {
        &self.files[usize::from(index)]
    }

    /// Checks everything the server later relies on.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let sorted = self
            .entries
            .is_sorted_by(|one, next| (one.path.len(), one.path) < (next.path.len(), next.path));
        if !sorted {
            return Err(Error::Unsorted);
        }
        let exists = |index: u16| usize::from(index) < self.files.len();
        for entry in self.entries {
            if !entry.path.starts_with('/') {
                return Err(Error::Path);
            }
            match entry.target {
                Target::File(index) if !exists(index) => return Err(Error::NoSuchFile),
                Target::Directory(location) if !is_visible(location) => return Err(Error::Field),
                _ => {}
            }
        }
        if self.not_found.is_some_and(|index| !exists(index)) {
            return Err(Error::NoSuchFile);
        }
        for file in self.files {
            if !file.content_type.split(' ').all(is_visible) {
                return Err(Error::Field);
            }
            if !is_tag(file.etag) {
                return Err(Error::Tag);
            }
        }
        Ok(())
    }
}

fn is_visible(value: &str) -> bool {
    !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_graphic())
}

fn is_tag(tag: &str) -> bool {
    tag.len() > 2
        && tag.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).is_some_and(|opaque| {
            opaque.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"')
        })
}
