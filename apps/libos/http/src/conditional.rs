//! Entity tags in If-Match, If-None-Match and If-Range (RFC 9110, sections 8.8.3 and 13.1).

/// How two tags are compared (RFC 9110, section 8.8.3.2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Comparison {
    /// A weak tag equals nothing.
    Strong,
    /// Weakness does not matter.
    Weak,
}

/// Whether the list `value` is `*` or has `etag`, which is strong and has its quotes.
///
/// A list that breaks off (it is malformed from there) has only what came before.
pub(crate) fn list_has(value: &[u8], etag: &[u8], comparison: Comparison) -> bool {
    let mut rest = value.trim_ascii();
    if rest == b"*" {
        return true;
    }
    loop {
        rest = skip_separators(rest);
        let (weak, tag) = match rest.strip_prefix(b"W/") {
            Some(tag) => (true, tag),
            None => (false, rest),
        };
        let Some(opaque) = tag.strip_prefix(b"\"") else { return false };
        let Some(end) = opaque.iter().position(|&byte| byte == b'"') else { return false };
        let (tag, after) = tag.split_at(end + 2);
        if tag == etag && (comparison == Comparison::Weak || !weak) {
            return true;
        }
        rest = after;
    }
}

/// Whether `value`, a single tag, is `etag` by strong comparison. A date never is: files have
/// none.
pub(crate) fn is_exactly(value: &[u8], etag: &[u8]) -> bool {
    value == etag
}

fn skip_separators(list: &[u8]) -> &[u8] {
    let end = list.iter().position(|byte| !matches!(byte, b' ' | b'\t' | b','));
    &list[end.unwrap_or(list.len())..]
}

#[cfg(test)]
mod tests {
    use super::{Comparison, list_has};

    #[test]
    fn lists_stars_and_weak_tags() {
        let etag = b"\"a,b\"";
        for (value, strong, weak) in [
            ("*", true, true),
            (" * ", true, true),
            ("\"a,b\"", true, true),
            ("W/\"a,b\"", false, true),
            ("\"x\", \"y\",\"a,b\"", true, true),
            ("\"x\" ,, W/\"a,b\" , \"z\"", false, true),
            ("\"x\"", false, false),
            ("a,b", false, false),
            ("\"a,b", false, false),
            ("w/\"a,b\"", false, false),
            ("\"x\", *", false, false),
            ("", false, false),
        ] {
            let has = |comparison| list_has(value.as_bytes(), etag, comparison);
            assert_eq!(has(Comparison::Strong), strong, "{value}");
            assert_eq!(has(Comparison::Weak), weak, "{value}");
        }
    }
}
