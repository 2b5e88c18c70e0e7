//! Where something may lie that a gone owner has left.

/// A place in the tables. They are looked at in this order.
#[derive(Clone, Copy)]
pub(crate) enum Visit {
    Group(u32),
    Record { group: u32, place: u32 },
    Socket(u32),
}

impl Default for Visit {
    fn default() -> Self {
        Self::Group(0)
    }
}
