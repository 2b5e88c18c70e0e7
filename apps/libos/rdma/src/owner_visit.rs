//! Where something may lie that a gone owner has left.

use reflex_rdma_wire::cm::CommId;

/// A place in the tables. They are looked at in this order.
#[derive(Clone, Copy)]
pub(crate) enum Visit {
    Domain(u16),
    Queue(u16),
    Channel(u16),
    Listening(usize),
    /// After that one, by name.
    Connection(Option<CommId>),
    Pair(u16),
    Share(u16),
    Region(u16),
}

impl Default for Visit {
    fn default() -> Self {
        Self::Domain(0)
    }
}
