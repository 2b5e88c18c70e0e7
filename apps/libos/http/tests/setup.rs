//! Sites that cannot be served are refused at start-up.

use crate::common;
use common::SITE;
use reflex_http::{Entry, Error, File, Limits, Server, Site, Target};

fn error(site: Site) -> Option<Error> {
    Server::new(site, Limits::default(), None).err()
}

fn with_entries(entries: &[(&'static str, Target)]) -> Option<Error> {
    let entries: Vec<_> = entries.iter().map(|&(path, target)| Entry { path, target }).collect();
    error(Site { entries: entries.leak(), ..SITE })
}

fn with_file(content_type: &'static str, etag: &'static str) -> Option<Error> {
    let file = File { content: b"", content_type, etag };
    error(Site { files: vec![file].leak(), entries: &[], not_found: None })
}

#[test]
fn entries() {
    let file = Target::File(0);
    assert_eq!(with_entries(&[("/", file), ("/a", file), ("/b", file)]), None);
    assert_eq!(with_entries(&[("/aa", file), ("/b", file)]), Some(Error::Unsorted));
    assert_eq!(with_entries(&[("/a", file), ("/a", file)]), Some(Error::Unsorted));
    assert_eq!(with_entries(&[("a", file)]), Some(Error::Path));
    assert_eq!(with_entries(&[("", file)]), Some(Error::Path));
    assert_eq!(with_entries(&[("/a", Target::File(5))]), Some(Error::NoSuchFile));
    assert_eq!(with_entries(&[("/a", Target::Directory("/a\r\nX: y"))]), Some(Error::Field));
    let long: &'static str = String::from_utf8(vec![b'x'; 2000]).expect("ASCII").leak();
    assert_eq!(with_entries(&[("/a", Target::Directory(long))]), Some(Error::HeadTooLong));
    assert_eq!(error(Site { not_found: Some(5), ..SITE }), Some(Error::NoSuchFile));
}

#[test]
fn files() {
    assert_eq!(with_file("text/html; charset=utf-8", "\"a\""), None);
    assert_eq!(with_file("text/html\r\nX: y", "\"a\""), Some(Error::Field));
    assert_eq!(with_file("", "\"a\""), Some(Error::Field));
    for tag in ["a", "\"", "\"\"", "W/\"a\"", "\"a b\"", "\"a\"b\"", "\"a\r\n\""] {
        assert_eq!(with_file("text/html", tag), Some(Error::Tag), "{tag}");
    }
    let long: &'static str = String::from_utf8(vec![b'x'; 2000]).expect("ASCII").leak();
    assert_eq!(with_file(long, "\"a\""), Some(Error::HeadTooLong));
}
