//! Where bytes go.

/// Where responses are written: the connection's send buffer.
pub trait Output {
    /// Takes as much of `bytes` as there is room for, and says how much that was.
    fn write(&mut self, bytes: &[u8]) -> usize;
}
