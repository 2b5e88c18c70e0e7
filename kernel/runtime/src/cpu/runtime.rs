//! The kernel, as a value without a size.

/// The kernel. The holder of one may use all that [`EventSystem`](reflex_event::EventSystem) and this type
/// offer.
#[derive(Clone, Copy, Debug)]
pub struct Runtime(());

impl Runtime {
    /// The kernel, for its own use.
    pub(crate) const KERNEL: Self = Self(());
}
