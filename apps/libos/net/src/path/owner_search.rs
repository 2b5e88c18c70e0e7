//! How far the look for what gone owners have left behind has come.

/// How far the stack has come in looking for what dead contexts left behind.
#[derive(Clone, Copy, Default)]
pub(crate) struct Search {
    pub(crate) at: At,
    /// It has activated itself to go on.
    pub(crate) goes_on: bool,
}

#[derive(Clone, Copy)]
pub(crate) enum At {
    Group(u32),
    Record { group: u32, place: u32 },
    Socket(u32),
}

impl Default for At {
    fn default() -> Self {
        Self::Group(0)
    }
}
