//! What names may be: Prometheus' data model and its rules for naming, as far as they can be checked. All of it is
//! checked when the application is compiled.

/// The system's own metrics begin with it; an application's do not.
const RESERVED: &[u8] = b"reflex_";
/// What a histogram's series end in, and so no other metric.
const DERIVED: [&[u8]; 3] = [b"_bucket", b"_count", b"_sum"];

/// A letter or an underscore, and digits after it. Colons are for the rules of the program that collects metrics.
const fn is_identifier(name: &[u8]) -> bool {
    let mut at = 0;
    while at < name.len() {
        let digit = name[at].is_ascii_digit();
        if !(name[at].is_ascii_alphabetic() || name[at] == b'_' || digit && at > 0) {
            return false;
        }
        at += 1;
    }
    !name.is_empty()
}

const fn has_at(name: &[u8], part: &[u8], from: usize) -> bool {
    let mut at = 0;
    while at < part.len() {
        if name[from + at] != part[at] {
            return false;
        }
        at += 1;
    }
    true
}

const fn begins(name: &[u8], part: &[u8]) -> bool {
    name.len() >= part.len() && has_at(name, part, 0)
}

const fn ends(name: &[u8], part: &[u8]) -> bool {
    name.len() >= part.len() && has_at(name, part, name.len() - part.len())
}

/// What is wrong with the name of a metric; `counter` says whether it is a counter's.
pub(crate) const fn fault(name: &str, counter: bool) -> Option<&'static str> {
    let name = name.as_bytes();
    if !is_identifier(name) {
        return Some("a metric's name is letters, digits and underscores, no digit first");
    }
    if counter != ends(name, b"_total") {
        return Some("a counter's name ends in `_total`, and no other metric's does");
    }
    let mut at = 0;
    while at < DERIVED.len() {
        if ends(name, DERIVED[at]) {
            return Some("`_bucket`, `_count` and `_sum` end the names that a histogram gives");
        }
        at += 1;
    }
    None
}

/// Whether the name is one of the system's own.
pub(crate) const fn is_reserved(name: &str) -> bool {
    begins(name.as_bytes(), RESERVED)
}

/// What is wrong with the name of a label.
pub(crate) const fn label_fault(name: &str) -> Option<&'static str> {
    let name = name.as_bytes();
    let taken = matches!(name, b"le" | b"quantile") || begins(name, b"__");
    if !is_identifier(name) || taken {
        return Some("a label is letters, digits and underscores, not `le`, `quantile` or `__..`");
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_prometheus_and_say_what_they_are() {
        for (name, counter) in [("a_total", true), ("_9_total", true), ("heat", false)] {
            assert_eq!(fault(name, counter), None, "{name}");
        }
        let wrong = [
            ("", false),
            ("9_total", true),
            ("a:b", false),
            ("a b", false),
            ("é", false),
            ("served", true),
            ("heat_total", false),
            ("heat_count", false),
            ("heat_sum", false),
            ("heat_bucket", false),
        ];
        for (name, counter) in wrong {
            assert!(fault(name, counter).is_some(), "{name}");
        }
        assert!(is_reserved("reflex_x") && !is_reserved("reflexes") && !is_reserved("re"));
    }

    #[test]
    fn labels_leave_those_of_the_format_alone() {
        assert_eq!(label_fault("code"), None);
        assert_eq!(label_fault("_code2"), None);
        for name in ["", "2", "le", "quantile", "__name__", "a-b"] {
            assert!(label_fault(name).is_some(), "{name}");
        }
    }
}
