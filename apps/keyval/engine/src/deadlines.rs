//! What tells when a key's time is up.

/// Deadlines of keys. That of a key is under the key's hash; should two keys have the same, one of them is removed
/// when it is next asked for.
pub trait Deadlines: 'static {
    /// Sets the deadline under `hash`, in milliseconds since 1970, or moves it. False when there is no room for it.
    fn set(&mut self, hash: u64, deadline: u64) -> bool;

    /// Takes the deadline under `hash` away.
    fn cancel(&mut self, hash: u64);
}

/// Nothing tells: keys are removed when they are asked for.
impl Deadlines for () {
    fn set(&mut self, _: u64, _: u64) -> bool {
        false
    }

    fn cancel(&mut self, _: u64) {}
}
