//! Why a server could not be set up. Requests never cause these: they are answered.

use core::fmt;

/// What is wrong with a site.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Error {
    /// The entries are not in the order [`Site`](crate::Site) demands, or a path is there twice.
    Unsorted,
    /// A path does not start with a slash.
    Path,
    /// An entry, or the page for what is not found, names a file that the site does not have.
    NoSuchFile,
    /// An entity tag is not a quoted string of visible characters.
    Tag,
    /// A content type or a location has characters that a header field cannot carry.
    Field,
    /// A response head would be longer than a session can keep.
    HeadTooLong,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unsorted => "the site's entries are not sorted by length and then by bytes",
            Self::Path => "a path of the site does not start with a slash",
            Self::NoSuchFile => "the site refers to a file that it does not have",
            Self::Tag => "an entity tag is not a quoted string",
            Self::Field => "a content type or location cannot be put into a header field",
            Self::HeadTooLong => "a response head is longer than a session can keep",
        })
    }
}

impl core::error::Error for Error {}
