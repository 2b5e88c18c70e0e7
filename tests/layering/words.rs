//! Words of persons. Code is none: a sentence about it names its subject, as "the context", "the
//! caller" or "the peer", and a reader need not guess.

use super::sources::all_files;
use std::path::Path;

const WORDS: [&str; 4] = ["who", "whom", "whose", "whoever"];

/// Where sources lie.
const FOLDERS: [&str; 6] = ["kernel", "drivers", "apps", "boot", "qemu", "tests"];

/// Lines with such a word in all sources. What is won is kept; below forty they speak of persons.
const BOUND: usize = 5;

/// The lines of a text in which such a word stands, in names too, counted from 1.
fn of_persons(text: &str) -> Vec<usize> {
    let has = |line: &str| {
        let mut words = line.split(|c: char| !c.is_alphanumeric()).map(str::to_lowercase);
        words.any(|word| WORDS.contains(&word.as_str()))
    };
    text.lines().zip(1..).filter(|(line, _)| has(line)).map(|(_, number)| number).collect()
}

#[test]
fn code_is_spoken_of_as_code() {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    let mut found = Vec::new();
    for file in FOLDERS.iter().flat_map(|folder| all_files(&root.join(folder))) {
        let text = std::fs::read_to_string(&file).expect("text");
        // This file speaks of the words themselves.
        if !file.ends_with("layering/words.rs") {
            let name = file.display();
            found.extend(of_persons(&text).into_iter().map(|line| format!("{name}:{line}")));
        }
    }
    assert!(
        found.len() <= BOUND,
        "{} lines call code a person, at most {BOUND}: name the subject (the context, the caller, \
         the peer)\n{}",
        found.len(),
        found.join("\n")
    );
}

#[test]
fn a_word_of_persons_is_noticed() {
    let text =
        "/// Whoever holds it.\nfn a() {}\nfn b_whose_c() {} // whole\nlet x = \"for whom\";";
    assert_eq!(of_persons(text), [1, 3, 4]);
    assert!(of_persons("/// The holder, whole and on the whole.").is_empty());
}
