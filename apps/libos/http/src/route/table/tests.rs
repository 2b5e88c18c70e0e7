use super::Table;
use crate::route::error::RouteError;
use crate::route::method::Method;
use crate::route::pattern::{Segment, segments};
use alloc::string::String;
use alloc::vec::Vec;
use proptest::prelude::*;

fn table(patterns: &[&'static str]) -> Table {
    let routes: Vec<_> = patterns.iter().map(|pattern| (Method::Get, *pattern)).collect();
    Table::new(&routes).expect("good routes")
}

fn found(table: &Table, path: &str) -> Option<&'static str> {
    table.find(path.as_bytes()).map(|resource| resource.pattern)
}

#[test]
fn a_literal_comes_before_a_parameter_before_a_tail() {
    let table =
        table(&["/", "/*all", "/a/:x", "/a/b", "/a/:x/c", "/a/b/d", "/files/*rest", "/:x/c"]);
    for (path, expected) in [
        ("/", "/"),
        ("/z", "/*all"),
        ("/a", "/*all"),
        ("/a/", "/*all"),
        ("/a/b", "/a/b"),
        ("/a/z", "/a/:x"),
        ("/a/b/c", "/a/:x/c"),
        ("/a/b/d", "/a/b/d"),
        ("/a/b/e", "/*all"),
        ("/a/c", "/a/:x"),
        ("/z/c", "/:x/c"),
        ("//c", "/*all"),
        ("/files/", "/files/*rest"),
        ("/files/x/y/z", "/files/*rest"),
        ("/files/c", "/files/*rest"),
    ] {
        assert_eq!(found(&table, path), Some(expected), "{path}");
    }
}

#[test]
fn a_path_without_a_route_has_none() {
    let table = table(&["/a/:x", "/files/*rest"]);
    for path in ["/", "/a", "/a/", "/a/b/", "/a/b/c", "/files", "/b", ""] {
        assert_eq!(found(&table, path), None, "{path}");
    }
    assert_eq!(Table::new(&[]).expect("no routes").find(b"/").map(|it| it.pattern), None);
}

#[test]
fn routes_that_clash_are_refused_with_both_named() {
    let refused = |routes: &[(Method, &'static str)]| Table::new(routes).err();
    let clash = |method, first, second| Some(RouteError::Clash { method, first, second });
    let (get, put) = (Method::Get, Method::Put);
    assert_eq!(refused(&[(get, "/a/:x"), (put, "/a/:x")]), None);
    assert_eq!(refused(&[(get, "/a/:x"), (get, "/a/:x")]), clash(get, "/a/:x", "/a/:x"));
    assert_eq!(refused(&[(get, "/a/:x"), (get, "/a/:y")]), clash(get, "/a/:x", "/a/:y"));
    assert_eq!(refused(&[(get, "/a/:x"), (put, "/a/:y")]), clash(put, "/a/:x", "/a/:y"));
    assert_eq!(refused(&[(get, "/*x"), (get, "/*y")]), clash(get, "/*x", "/*y"));
    assert_eq!(refused(&[(get, "/a/:x"), (get, "/a/b"), (get, "/a/*x"), (get, "/:a/b")]), None);
    assert_eq!(refused(&[(get, "a")]), Some(RouteError::Pattern("a")));
    let told = alloc::string::ToString::to_string;
    let error = refused(&[(get, "/a/:x"), (put, "/a/:y")]).expect("a clash");
    assert_eq!(told(&error), "PUT /a/:y has the same paths as /a/:x before it");
}

/// What matches, found by trying every pattern.
fn reference<'a>(patterns: &[&'a str], path: &str) -> Option<&'a str>
where
    'a: 'static,
{
    let matches = |pattern: &'static str| {
        let mut rest = path[1..].split('/');
        for segment in segments(pattern) {
            match (segment, rest.next()) {
                (Segment::Literal(text), Some(there)) if text == there => {}
                (Segment::Parameter(_), Some(there)) if !there.is_empty() => {}
                (Segment::Tail(_), Some(_)) => return true,
                _ => return false,
            }
        }
        rest.next().is_none()
    };
    let ranks = |pattern: &'static str| segments(pattern).map(Segment::rank).collect::<Vec<_>>();
    patterns.iter().copied().filter(|pattern| matches(pattern)).min_by_key(|pattern| ranks(pattern))
}

fn pattern() -> impl Strategy<Value = String> {
    let segment = prop::sample::select(alloc::vec!["a", "b", "", ":x", ":x"]);
    let tail = prop::sample::select(alloc::vec!["", "", "/*t"]);
    (prop::collection::vec(segment, 1..5), tail).prop_map(|(segments, tail)| {
        let mut text = String::new();
        for (at, segment) in segments.into_iter().enumerate() {
            text += "/";
            text += segment;
            if segment == ":x" {
                text += &alloc::format!("{at}");
            }
        }
        text + tail
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    /// The tree finds what trying all patterns finds.
    #[test]
    fn finds_what_trying_every_pattern_finds(
        patterns in prop::collection::vec(pattern(), 0..10),
        paths in prop::collection::vec("(/(a|b|c|)){1,6}", 1..30),
    ) {
        let mut kept: Vec<&'static str> = Vec::new();
        for pattern in patterns {
            let pattern: &'static str = pattern.leak();
            kept.push(pattern);
            let routes: Vec<_> = kept.iter().map(|it| (Method::Get, *it)).collect();
            if Table::new(&routes).is_err() {
                kept.pop();
            }
        }
        let table = table(&kept);
        for path in paths {
            prop_assert_eq!(found(&table, &path), reference(&kept, &path), "{} of {:?}", path, kept);
        }
    }
}
