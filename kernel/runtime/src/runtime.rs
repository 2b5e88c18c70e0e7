//! The kernel, as a value without a size.

/// The kernel. Whoever has one may use all that [`EventSystem`] and this type offer.
#[derive(Clone, Copy, Debug)]
pub struct Runtime(());

impl Runtime {
    /// The kernel, for its own use.
    pub(crate) const KERNEL: Self = Self(());
}
