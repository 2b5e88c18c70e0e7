//! What waits for a transmit buffer or for a neighbour's address.

/// What waits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Waiter {
    Connection(u32),
    Datagrams(u32),
    /// The protocol beside the stack, for a transmit buffer.
    AttachedBuffer,
    /// As above, for a neighbour.
    AttachedHop,
}

/// The mark of one that waits, and the next.
#[derive(Clone, Copy, Default)]
pub(crate) struct Wait {
    pub(crate) waiting: bool,
    pub(crate) next: Option<Waiter>,
}
