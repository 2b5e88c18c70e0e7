//! The conformance table in `README.md`: every requirement has a row, and every test that a row
//! names exists.

use std::collections::BTreeMap;
use std::path::Path;

/// All requirements there are.
const IDS: &str = "\
    C-1 C-2 C-3 C-4 C-5 C-6 C-7 \
    A-2.1.2 A-2.1.4 A-2.4 \
    A-3.1.1 A-3.1.2 A-3.1.3 A-3.1.4 A-3.1.5 A-3.1.6 A-3.1.7 \
    A-3.2.1 A-3.2.2 A-3.2.3 A-3.3.1 A-3.4.1 A-3.4.2 \
    A-3.5.1 A-3.5.2 A-3.5.3 A-3.5.4 \
    A-3.6.1 A-3.6.2 A-3.6.3 A-3.6.4 A-3.6.5 A-4 \
    PE-5 PE-13 PE-14 \
    E-1 E-2 E-3 E-4 E-5 E-6 E-7 E-8 \
    K-1 K-2 K-3 K-4 K-5 K-6 K-7 K-8 K-9 \
    NB-12 NB-13 \
    NB-16 NB-17 NB-18 NB-19 \
    CR-1 CR-2 CR-5 CR-12 CR-16 G-1 G-2 G-3 NI-1 NI-2 NI-3 NI-4 NI-11 NI-12 NI-13 NI-14 CR-3 CR-4 CR-7 CR-9 CR-13 \
    N-1 N-2 N-3 N-4 N-5 N-6 \
    GR-1 GR-2 GR-3 GR-4 GR-5 \
    SO-1 SO-2 SO-3 SO-4 SO-5 SO-6 SO-7 SO-8 SO-9 SO-10 SO-11 SO-12 SO-13 SO-14 SO-15 SO-16 SO-17 SO-18 \
    SO-19 \
    CO-1 CO-2 CO-3 CO-4 CO-5 CO-6 CO-7 CO-8 CO-9 CO-10 CO-11 \
    RO-1 RO-2 RO-3 RO-4 RO-5 RO-6 RO-7 NB-1 NB-2 NB-3 NB-4 NB-5 NB-6 NB-7 NB-8 NB-9 NB-10 NB-11 NB-14 NB-15 \
    PE-1 PE-2 PE-3 PE-4 PE-6 PE-7 PE-8 PE-9 PE-10 PE-11 PE-12 \
    PE-15 PE-16 PE-17 PE-18 PE-19 PE-20 PE-21 PE-22 PE-23 PE-24 PE-25 \
    NI-5 NI-6 NI-7 NI-8 NI-9 NI-10 NI-15 \
    FL-1 FL-2 FL-8 FL-9 \
    CR-10 CR-14 \
    SH-1 SH-2 SH-4 SH-5 SH-9";

/// What a row says where nothing proves a requirement yet.
const OPEN: &str = "not yet: issue to come";

/// What is wrong with a table.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Fault {
    /// No row for a requirement.
    Missing(String),
    /// Two rows for one.
    Repeated(String),
    /// A row for what is no requirement.
    Unknown(String),
    /// A row that neither names a test nor says that it is open.
    NoProof(String),
    /// A test that is named and is not there.
    NoTest(String),
}

/// The rows of all tables: first and second cell.
fn rows(text: &str) -> Vec<(&str, &str)> {
    let cells = text.lines().filter_map(|line| line.strip_prefix("| ")?.split_once(" | "));
    let rows = cells.map(|(first, rest)| (first.trim(), rest.trim_end_matches(['|', ' '])));
    rows.filter(|(first, _)| !first.starts_with("---")).collect()
}

/// The tests a cell names: `path/to/file.rs::name` between backticks.
fn tests(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2).filter(|quoted| quoted.contains(".rs::"))
}

/// Whether a row is a requirement's: one or two capital letters and a number, `A-3.1.1`, `C-1`,
/// `GR-1`.
fn is_id(cell: &str) -> bool {
    let Some((letters, number)) = cell.split_once('-') else { return false };
    (1..=2).contains(&letters.len())
        && letters.bytes().all(|byte| byte.is_ascii_uppercase())
        && number.starts_with(|first: char| first.is_ascii_digit())
        && number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
}

/// Everything that is wrong with a table; `exists` says whether there is such a test.
fn faults(text: &str, ids: &str, exists: impl Fn(&str) -> bool) -> Vec<Fault> {
    let mut found: BTreeMap<&str, usize> = BTreeMap::new();
    let mut faults = Vec::new();
    for (first, proof) in rows(text) {
        if is_id(first) {
            *found.entry(first).or_default() += 1;
            if tests(proof).next().is_none() && !proof.contains(OPEN) {
                faults.push(Fault::NoProof(first.to_owned()));
            }
        }
        let absent = tests(proof).filter(|test| !exists(test));
        faults.extend(absent.map(|test| Fault::NoTest(test.to_owned())));
    }
    for id in ids.split_ascii_whitespace() {
        match found.remove(id) {
            None => faults.push(Fault::Missing(id.to_owned())),
            Some(1) => {}
            Some(_) => faults.push(Fault::Repeated(id.to_owned())),
        }
    }
    faults.extend(found.into_keys().map(|id| Fault::Unknown(id.to_owned())));
    faults
}

/// Whether a source file has a function of this name, marked as a test.
fn has_test(source: &str, name: &str) -> bool {
    let head = format!("fn {name}(");
    let lines: Vec<&str> = source.lines().map(str::trim_start).collect();
    let marked = |at: usize| {
        let above = lines[..at].iter().rev().take_while(|line| line.starts_with("#["));
        above.into_iter().any(|line| *line == "#[test]" || line.starts_with("#[reflex::test"))
    };
    (0..lines.len()).any(|at| lines[at].starts_with(&head) && marked(at))
}

/// Whether the repository has the test `path/to/file.rs::name`; paths begin here or at its root.
fn exists(test: &str) -> bool {
    let Some((path, name)) = test.split_once("::") else { return false };
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let sources = [here, &here.join("..")].map(|folder| std::fs::read_to_string(folder.join(path)));
    sources.into_iter().flatten().any(|source| has_test(&source, name))
}

#[test]
fn every_requirement_has_its_row_and_every_named_test_exists() {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let text = std::fs::read_to_string(readme).expect("the table is there");
    let faults = faults(&text, IDS, exists);
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn a_wrong_table_is_noticed() {
    let table = "| id | proof |\n| --- | --- |\n\
        | A-1 | `a.rs::good` |\n\
        | A-2 | `a.rs::good`, `b.rs::bad` |\n\
        | A-3 | not yet: issue to come |\n\
        | A-4 | surely |\n\
        | A-5 | `a.rs::good` |\n\
        | A-5 | `a.rs::good` |\n\
        | A-7 | `a.rs::good` |\n\
        | GR-1 | `a.rs::good` |\n\
        | GR-2 | `a.rs::good` |\n\
        | SO-4 | surely |\n\
        | a promise | `c.rs::bad` |\n";
    let ids = "A-1 A-2 A-3 A-4 A-5 A-6 GR-1 SO-3 SO-4";
    let faults = faults(table, ids, |test| test.ends_with("::good"));
    let fault = |fault: fn(String) -> Fault, about: &str| fault(about.to_owned());
    assert_eq!(
        faults,
        [
            fault(Fault::NoTest, "b.rs::bad"),
            fault(Fault::NoProof, "A-4"),
            fault(Fault::NoProof, "SO-4"),
            fault(Fault::NoTest, "c.rs::bad"),
            fault(Fault::Repeated, "A-5"),
            fault(Fault::Missing, "A-6"),
            fault(Fault::Missing, "SO-3"),
            fault(Fault::Unknown, "A-7"),
            fault(Fault::Unknown, "GR-2"),
        ]
    );
}

#[test]
fn an_id_is_one_or_two_letters_and_a_number() {
    for id in ["A-3.1.1", "C-1", "GR-1", "SO-12"] {
        assert!(is_id(id), "{id}");
    }
    for other in ["", "id", "-1", "A-", "A-.1", "A-b", "ABC-1", "gr-1", "GR1", "a promise-1"] {
        assert!(!is_id(other), "{other}");
    }
}

#[test]
fn a_test_is_a_function_that_is_marked_as_one() {
    let source = "#[test]\nfn one() {}\n    #[test]\n    #[should_panic]\n    fn two() {}\n\
                  #[reflex::test(group = \"g\")]\nfn three(\nfn four() {}\n// #[test]\nfn five() {}";
    for (name, found) in [
        ("one", true),
        ("two", true),
        ("three", true),
        ("four", false),
        ("five", false),
        ("on", false),
        ("six", false),
    ] {
        assert_eq!(has_test(source, name), found, "{name}");
    }
    assert!(exists("requirements.rs::a_test_is_a_function_that_is_marked_as_one"));
    assert!(!exists("requirements.rs::exists"));
    assert!(!exists("nowhere.rs::exists"));
}
