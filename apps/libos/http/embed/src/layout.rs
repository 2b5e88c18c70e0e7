//! What is where in a site.

use sha2::{Digest, Sha256};
use std::fmt;
use std::path::{Path, PathBuf};

/// Why a directory cannot be embedded.
#[derive(Debug)]
pub enum Error {
    /// A file or directory cannot be read or written.
    Io {
        /// Which one.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A name is not UTF-8.
    Name(PathBuf),
    /// There are more files than a site can have, which is 65,535.
    TooMany,
    /// Cargo's environment variable of this name is not there: this is for build scripts.
    NotInBuildScript(&'static str),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io { path, source } => write!(f, "{}: {source}", path.display()),
            Self::Name(path) => write!(f, "{}: the name is not UTF-8", path.display()),
            Self::TooMany => f.write_str("a site has at most 65,535 files"),
            Self::NotInBuildScript(name) => {
                write!(f, "{name} is not set: call this from a build script")
            }
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { source, .. } => Some(source),
            _ => None,
        }
    }
}

/// A file of the site.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct File {
    /// Where its content is.
    pub source: PathBuf,
    /// The value of Content-Type.
    pub content_type: String,
    /// The entity tag with its quotes: the first 128 bits of the content's SHA-256.
    pub etag: String,
}

/// What is at a path.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Target {
    /// The file of this index.
    File(u16),
    /// A directory without its slash; the percent-encoded path with it.
    Directory(String),
}

/// A path of the site and what is there.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// The absolute path, percent-decoded.
    pub path: String,
    /// What is there.
    pub target: Target,
}

/// A site as it will be embedded.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Layout {
    /// The files, by path.
    pub files: Vec<File>,
    /// The entries, in the order `reflex_http::Site` demands: by length, then by bytes.
    pub entries: Vec<Entry>,
    /// The file that clients get when they ask for what is not there.
    pub not_found: Option<u16>,
}

impl Layout {
    /// Reads the directory `root` and everything below it. The same content gives the same
    /// layout, in whatever order the file system lists it.
    ///
    /// # Errors
    /// What cannot be read.
    pub fn read(root: &Path) -> Result<Self, Error> {
        let mut layout = Self::default();
        layout.read_directory(root, "/")?;
        layout.entries.sort_by(|one, other| {
            (one.path.len(), &one.path).cmp(&(other.path.len(), &other.path))
        });
        Ok(layout)
    }

    /// Reads one directory. Its path in the site is `prefix`, which ends with a slash.
    fn read_directory(&mut self, directory: &Path, prefix: &str) -> Result<(), Error> {
        let failed = |source| Error::Io { path: directory.to_path_buf(), source };
        let mut names = std::fs::read_dir(directory)
            .map_err(failed)?
            .map(|entry| entry.map(|entry| entry.path()))
            .collect::<Result<Vec<_>, _>>()
            .map_err(failed)?;
        names.sort();
        for path in names {
            let name = path.file_name().and_then(|name| name.to_str());
            let name = name.ok_or_else(|| Error::Name(path.clone()))?.to_owned();
            if name.starts_with('.') {
                continue;
            }
            if path.is_dir() {
                self.read_directory(&path, &format!("{prefix}{name}/"))?;
            } else {
                self.read_file(path, prefix, &name)?;
            }
        }
        Ok(())
    }

    fn read_file(&mut self, source: PathBuf, prefix: &str, name: &str) -> Result<(), Error> {
        let content = std::fs::read(&source)
            .map_err(|error| Error::Io { path: source.clone(), source: error })?;
        let index = u16::try_from(self.files.len()).ok().filter(|&index| index < u16::MAX);
        let index = index.ok_or(Error::TooMany)?;
        let content_type = content_type(&source);
        self.files.push(File { source, content_type, etag: etag(&content) });
        let mut add = |path: String, target| self.entries.push(Entry { path, target });
        add(format!("{prefix}{name}"), Target::File(index));
        if name == "index.html" {
            add(prefix.to_owned(), Target::File(index));
            if let Some(without_slash) = prefix.strip_suffix('/').filter(|path| !path.is_empty()) {
                add(without_slash.to_owned(), Target::Directory(percent_encode(prefix)));
            }
        }
        if prefix == "/" && name == "404.html" {
            self.not_found = Some(index);
        }
        Ok(())
    }
}

/// The content type by the name's extension; text is taken to be UTF-8.
fn content_type(path: &Path) -> String {
    let guess = mime_guess::from_path(path).first_or_octet_stream();
    let is_text = guess.type_() == "text"
        || matches!(guess.essence_str(), "application/javascript" | "application/json");
    if is_text && guess.get_param("charset").is_none() {
        format!("{guess}; charset=utf-8")
    } else {
        guess.to_string()
    }
}

fn etag(content: &[u8]) -> String {
    let digest = Sha256::digest(content);
    let hex: String = digest[..16].iter().map(|byte| format!("{byte:02x}")).collect();
    format!("\"{hex}\"")
}

/// Encodes what a path may not have as it is (RFC 3986, section 3.3).
fn percent_encode(path: &str) -> String {
    let keeps = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/".contains(&byte);
    path.bytes().fold(String::new(), |mut encoded, byte| {
        if keeps(byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
        encoded
    })
}
