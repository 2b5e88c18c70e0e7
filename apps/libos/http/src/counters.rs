//! What a server counts.

/// What has happened, since start-up.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counters {
    /// Responses of any status.
    pub responses: u64,
    /// Connections given up because what they sent was not HTTP as this server has it.
    pub refused: u64,
    /// Connections given up because they took too long.
    pub timed_out: u64,
    /// Of these, connections with peers that did not read: they took less of a response than
    /// [`Limits::progress`] in [`Limits::stall`] seconds.
    pub too_slow: u64,
    /// Requests refused because there was no room for their large heads.
    pub head_shortages: u64,
    /// Requests for routes that had no handler at the time: 503.
    pub unavailable: u64,
    /// Handlers that gave no reply: 500.
    pub failed_handlers: u64,
    /// Replies that could not be sent as they were: 500, or a reset when part of one had been sent.
    pub faulty_replies: u64,
}
