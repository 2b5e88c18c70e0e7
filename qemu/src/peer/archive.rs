//! An initial root file system as the kernel reads it: a `cpio` archive in the "newc" format
//! (Linux's `Documentation/driver-api/early-userspace/buffer-format.rst`).

use std::collections::BTreeSet;

/// Bytes of an archive in the making. Missing parent directories are made as they are needed.
#[derive(Default)]
pub(crate) struct Archive {
    bytes: Vec<u8>,
    directories: BTreeSet<String>,
    entries: u32,
}

const DIRECTORY: u32 = 0o040_000;
const REGULAR: u32 = 0o100_000;
const SYMBOLIC_LINK: u32 = 0o120_000;

impl Archive {
    /// Adds a directory; `path` has no leading slash.
    pub(crate) fn directory(&mut self, path: &str) {
        if self.directories.contains(path) {
            return;
        }
        self.parents(path);
        self.directories.insert(path.into());
        self.entry(path, DIRECTORY | 0o755, &[]);
    }

    /// Adds a file with these permissions.
    pub(crate) fn file(&mut self, path: &str, permissions: u32, contents: &[u8]) {
        self.parents(path);
        self.entry(path, REGULAR | permissions, contents);
    }

    /// Adds a symbolic link.
    pub(crate) fn link(&mut self, path: &str, target: &str) {
        self.parents(path);
        self.entry(path, SYMBOLIC_LINK | 0o777, target.as_bytes());
    }

    /// The finished archive.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        self.entry("TRAILER!!!", 0, &[]);
        self.bytes
    }

    fn parents(&mut self, path: &str) {
        if let Some((parent, _)) = path.rsplit_once('/') {
            self.directory(parent);
        }
    }

    fn entry(&mut self, path: &str, mode: u32, contents: &[u8]) {
        self.entries += 1;
        let length = u32::try_from(contents.len()).expect("a file of 4 GiB in an initrd");
        let links = 1;
        // ino, mode, uid, gid, nlink, mtime, filesize, dev and rdev twice, namesize, check
        let fields =
            [self.entries, mode, 0, 0, links, 0, length, 0, 0, 0, 0, path.len() as u32 + 1, 0];
        self.bytes.extend_from_slice(b"070701");
        for field in fields {
            self.bytes.extend_from_slice(format!("{field:08x}").as_bytes());
        }
        self.bytes.extend_from_slice(path.as_bytes());
        self.bytes.push(0);
        self.pad();
        self.bytes.extend_from_slice(contents);
        self.pad();
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Names and contents, read back by the format's rules.
    fn read(archive: &[u8]) -> Vec<(String, u32, Vec<u8>)> {
        let (mut at, mut entries) = (0, Vec::new());
        loop {
            assert_eq!(&archive[at..at + 6], b"070701");
            let field = |index: usize| {
                let start = at + 6 + index * 8;
                u32::from_str_radix(str::from_utf8(&archive[start..start + 8]).unwrap(), 16)
                    .unwrap()
            };
            let (mode, length, name_length) = (field(1), field(6) as usize, field(11) as usize);
            let name = &archive[at + 110..at + 110 + name_length - 1];
            let data = (at + 110 + name_length).next_multiple_of(4);
            at = (data + length).next_multiple_of(4);
            let name = String::from_utf8(name.to_vec()).unwrap();
            if name == "TRAILER!!!" {
                assert_eq!(at, archive.len());
                return entries;
            }
            entries.push((name, mode, archive[data..data + length].to_vec()));
        }
    }

    #[test]
    fn entries_read_back_with_parents_first_and_once() {
        let mut archive = Archive::default();
        archive.file("usr/bin/a", 0o755, b"12345");
        archive.file("usr/bin/b", 0o644, b"");
        archive.link("bin", "usr/bin");
        let entries = read(&archive.finish());
        let names: Vec<_> = entries.iter().map(|entry| entry.0.as_str()).collect();
        assert_eq!(names, ["usr", "usr/bin", "usr/bin/a", "usr/bin/b", "bin"]);
        assert_eq!(entries[2].1, 0o100_755);
        assert_eq!(entries[2].2, b"12345");
        assert_eq!(entries[4].2, b"usr/bin");
    }
}
