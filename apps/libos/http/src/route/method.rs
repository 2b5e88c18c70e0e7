//! Methods that routes can have (RFC 9110, section 9; RFC 5789).

use core::fmt;

/// The method of a route.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Method {
    /// What is there; asked for by `HEAD`, too, which is answered with the same fields and no body.
    Get,
    /// Something is to be done.
    Post,
    /// What is to be there.
    Put,
    /// Nothing is to be there.
    Delete,
    /// How what is there is to be changed.
    Patch,
}

impl Method {
    /// How many there are.
    pub(crate) const COUNT: usize = 5;

    /// All of them, in the order in which `Allow` names them.
    pub(crate) const ALL: [Self; Self::COUNT] =
        [Self::Get, Self::Post, Self::Put, Self::Delete, Self::Patch];

    /// As a request line has it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Delete => "DELETE",
            Self::Patch => "PATCH",
        }
    }

    /// The method of the route that serves a request.
    pub(crate) fn serving(name: &str) -> Option<Self> {
        let name = if name == "HEAD" { "GET" } else { name };
        Self::ALL.into_iter().find(|method| method.name() == name)
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
