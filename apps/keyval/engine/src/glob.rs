//! Patterns of keys: `*`, `?`, `[a-z]`, `[^a-z]`, and `\` before what is meant as it stands.

/// Whether `text` matches `pattern`. Time is at most the product of both lengths: of the stars only the last one that
/// was met is tried again.
pub(crate) fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    // Behind the last star, and the text that it has taken so far.
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        if pattern.get(p) == Some(&b'*') {
            star = Some((p + 1, t));
            p += 1;
            continue;
        }
        match one(&pattern[p..], text[t]) {
            Some(length) => (p, t) = (p + length, t + 1),
            None => match &mut star {
                Some((behind, taken)) => {
                    *taken += 1;
                    (p, t) = (*behind, *taken);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|character| *character == b'*')
}

/// How long the part of the pattern is that matches `character`.
fn one(pattern: &[u8], character: u8) -> Option<usize> {
    match pattern {
        [] => None,
        [b'?', ..] => Some(1),
        [b'\\', meant, ..] => (*meant == character).then_some(2),
        [b'[', class @ ..] => {
            let (found, length) = of_class(class, character);
            found.then_some(1 + length)
        }
        [meant, ..] => (*meant == character).then_some(1),
    }
}

/// Whether a class has the character, and how long the class is with its bracket. One that is not closed ends with
/// the pattern.
fn of_class(class: &[u8], character: u8) -> (bool, usize) {
    let negated = class.first() == Some(&b'^');
    let mut at = usize::from(negated);
    let mut found = false;
    loop {
        match &class[at..] {
            [] => return (found != negated, at),
            [b']', ..] => return (found != negated, at + 1),
            [b'\\', meant, ..] => {
                found |= *meant == character;
                at += 2;
            }
            [low, b'-', high, ..] if *high != b']' => {
                found |= (*low.min(high)..=*low.max(high)).contains(&character);
                at += 3;
            }
            [meant, ..] => {
                found |= *meant == character;
                at += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_what_they_say() {
        let yes = [
            ("*", ""),
            ("*", "all"),
            ("a*c", "abbc"),
            ("a*b*c", "axxbxxbxc"),
            ("h?llo", "hello"),
            ("h[ae]llo", "hallo"),
            ("h[^e]llo", "hallo"),
            ("h[a-b]llo", "hbllo"),
            ("h[b-a]llo", "hbllo"),
            (r"h\*llo", "h*llo"),
            (r"[\]]", "]"),
            ("[abc", "c"),
            ("", ""),
            ("**", "x"),
        ];
        for (pattern, text) in yes {
            assert!(matches(pattern.as_bytes(), text.as_bytes()), "{pattern} {text}");
        }
        let no = [
            ("", "x"),
            ("a*c", "abcd"),
            ("h?llo", "hllo"),
            ("h[ae]llo", "hillo"),
            ("h[^e]llo", "hello"),
            (r"h\*llo", "hello"),
            ("a", "ab"),
            ("[", "["),
        ];
        for (pattern, text) in no {
            assert!(!matches(pattern.as_bytes(), text.as_bytes()), "{pattern} {text}");
        }
    }

    /// Where each star is tried with each of the others, this takes longer than the universe lasts.
    #[test]
    fn many_stars_take_no_exponential_time() {
        let (mut pattern, mut text) = ([b'*'; 200], [b'a'; 4_000]);
        pattern.iter_mut().step_by(2).for_each(|character| *character = b'a');
        pattern[199] = b'b';
        assert!(!matches(&pattern, &text));
        text[3_999] = b'b';
        assert!(matches(&pattern, &text));
    }
}
