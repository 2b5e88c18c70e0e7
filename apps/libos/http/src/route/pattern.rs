//! The path of a route: `/v1/notes/:id`, `/files/*rest`.

/// Parameters that a pattern may have.
pub(crate) const MOST_PARAMETERS: usize = 8;

/// One segment of a pattern. In the order of precedence, where several match.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Segment {
    /// This very text.
    Literal(&'static str),
    /// `:name`: any text but none.
    Parameter(&'static str),
    /// `*name`: all that is left, however many segments, and be it nothing after the slash.
    Tail(&'static str),
}

impl Segment {
    fn of(text: &'static str) -> Self {
        match text.split_at_checked(1) {
            Some((":", name)) => Self::Parameter(name),
            Some(("*", name)) => Self::Tail(name),
            _ => Self::Literal(text),
        }
    }

    /// The name under which it is asked for.
    pub(crate) fn name(self) -> Option<&'static str> {
        match self {
            Self::Literal(_) => None,
            Self::Parameter(name) | Self::Tail(name) => Some(name),
        }
    }

    /// Whether every path segment that one matches is matched by the other.
    pub(crate) fn is_alike(self, other: Self) -> bool {
        match (self, other) {
            (Self::Literal(one), Self::Literal(two)) => one == two,
            (Self::Parameter(_), Self::Parameter(_)) | (Self::Tail(_), Self::Tail(_)) => true,
            _ => false,
        }
    }

    /// Where it stands when several kinds match.
    pub(crate) fn rank(self) -> u8 {
        match self {
            Self::Literal(_) => 0,
            Self::Parameter(_) => 1,
            Self::Tail(_) => 2,
        }
    }
}

/// The segments of a pattern.
pub(crate) fn segments(pattern: &'static str) -> impl Iterator<Item = Segment> + Clone {
    pattern.get(1..).unwrap_or_default().split('/').map(Segment::of)
}

/// The parameters' names, in their order.
pub(crate) fn names(pattern: &'static str) -> impl Iterator<Item = &'static str> + Clone {
    segments(pattern).filter_map(Segment::name)
}

/// Whether paths can be matched with it: it begins with a slash, its literals are visible characters that a path
/// has as they are, its parameters have names of their own, and a tail comes last.
pub(crate) fn is_valid(pattern: &'static str) -> bool {
    let plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'%' | b'?' | b'#');
    let count = names(pattern).count();
    let distinct = |(at, name): (usize, &str)| {
        !name.is_empty() && names(pattern).take(at).all(|before| before != name)
    };
    let dots = |segment| matches!(segment, Segment::Literal("." | ".."));
    let mut behind = segments(pattern).skip_while(|segment| !matches!(segment, Segment::Tail(_)));
    pattern.starts_with('/')
        && pattern.bytes().all(plain)
        && count <= MOST_PARAMETERS
        && names(pattern).enumerate().all(distinct)
        && !segments(pattern).any(dots)
        && (behind.next().is_none() || behind.next().is_none())
}

#[cfg(test)]
mod tests {
    use super::is_valid;

    #[test]
    fn patterns() {
        for good in ["/", "/a", "/a/", "/:a", "/a/:b/c/:d", "/*a", "/a/*rest", "/a//b", "/~a/b.c"] {
            assert!(is_valid(good), "{good}");
        }
        let many = "/:a/:b/:c/:d/:e/:f/:g/:h/:i";
        for bad in
            ["", "a", "/:", "/*", "/:a/:a", "/*a/b", "/a b", "/a%20b", "/a?b", "/../a", "/ü", many]
        {
            assert!(!is_valid(bad), "{bad}");
        }
    }
}
