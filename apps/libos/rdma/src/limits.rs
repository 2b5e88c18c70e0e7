//! How much a port is made for.

/// How much a port is made for. Its tables are taken then.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Queue pairs, at most 1024.
    pub queue_pairs: u16,
    /// Completion queues, and as many protection domains, shared receive queues and connection
    /// managers.
    pub queues: u16,
    /// Memory regions, at most 4096.
    pub regions: u16,
    /// Connections that are, begin or have just ended, at most 65536.
    pub connections: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { queue_pairs: 256, queues: 64, regions: 256, connections: 512 }
    }
}
