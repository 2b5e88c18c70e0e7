//! Directories and what becomes of them.

use reflex_http_embed::{Layout, Target};
use std::fs;
use std::path::Path;

fn site(files: &[(&str, &str)]) -> (tempfile::TempDir, Layout) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    for (path, content) in files {
        let path = directory.path().join(path);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
        fs::write(path, content).expect("a file");
    }
    let layout = Layout::read(directory.path()).expect("a layout");
    (directory, layout)
}

fn targets(layout: &Layout) -> Vec<(&str, String)> {
    layout
        .entries
        .iter()
        .map(|entry| match &entry.target {
            Target::File(index) => {
                let file = &layout.files[usize::from(*index)];
                let name = file.source.file_name().expect("a name").to_string_lossy();
                (entry.path.as_str(), name.into_owned())
            }
            Target::Directory(location) => (entry.path.as_str(), format!("-> {location}")),
        })
        .collect()
}

#[test]
fn paths_by_length_and_bytes() {
    let (_directory, layout) = site(&[
        ("index.html", "a"),
        ("404.html", "b"),
        ("docs and more/index.html", "c"),
        ("docs and more/404.html", "d"),
        ("plain/x.txt", "e"),
        (".hidden/x.txt", "f"),
        (".hidden.txt", "g"),
    ]);
    let expected = [
        ("/", "index.html"),
        ("/404.html", "404.html"),
        ("/index.html", "index.html"),
        ("/plain/x.txt", "x.txt"),
        ("/docs and more", "-> /docs%20and%20more/"),
        ("/docs and more/", "index.html"),
        ("/docs and more/404.html", "404.html"),
        ("/docs and more/index.html", "index.html"),
    ];
    let expected: Vec<_> =
        expected.into_iter().map(|(path, target)| (path, target.to_owned())).collect();
    assert_eq!(targets(&layout), expected);
    assert_eq!(layout.not_found, Some(0));
}

#[test]
fn content_decides_the_tag_and_the_name_the_type() {
    let (_directory, layout) = site(&[
        ("a.html", "same"),
        ("b.css", "same"),
        ("c.png", "other"),
        ("d", "other"),
        ("e.js", ""),
        ("f.svg", ""),
    ]);
    let types: Vec<_> = layout.files.iter().map(|file| file.content_type.as_str()).collect();
    assert_eq!(
        types,
        [
            "text/html; charset=utf-8",
            "text/css; charset=utf-8",
            "image/png",
            "application/octet-stream",
            "text/javascript; charset=utf-8",
            "image/svg+xml",
        ]
    );
    assert_eq!(layout.files[0].etag, layout.files[1].etag);
    assert_ne!(layout.files[0].etag, layout.files[2].etag);
    // SHA-256 of nothing (FIPS 180-4), the first half.
    assert_eq!(layout.files[4].etag, "\"e3b0c44298fc1c149afbf4c8996fb924\"");
}

#[test]
fn the_source_names_everything() {
    let (directory, layout) = site(&[("a \"b\".txt", "x"), ("404.html", "y")]);
    let source = layout.to_rust();
    let content = directory.path().join("a \"b\".txt");
    assert!(source.contains(&format!("include_bytes!({:?})", content.display().to_string())));
    assert!(source.contains(r#"path: "/a \"b\".txt", target: http::Target::File(1)"#), "{source}");
    assert!(source.contains("not_found: Some(0)"));
}

#[test]
fn what_is_not_there_is_named() {
    let error = Layout::read(Path::new("/nonexistent/site")).expect_err("no such directory");
    assert!(error.to_string().starts_with("/nonexistent/site: "), "{error}");
}
