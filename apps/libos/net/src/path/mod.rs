//! What a frame meets, in the stack's context: it is classified, queued, and its connection has a run.

pub(crate) mod accept;
pub(crate) mod attached;
pub(crate) mod attached_run;
pub(crate) mod buffers;
pub(crate) mod classify;
pub(crate) mod configure;
pub(crate) mod connection_run;
pub(crate) mod fragments;
pub(crate) mod icmp_error;
pub(crate) mod lease;
pub(crate) mod owner_gone;
pub(crate) mod owner_visit;
pub(crate) mod receive;
pub(crate) mod reclaim;
pub(crate) mod renew;
pub(crate) mod run;
pub(crate) mod run_queue;
pub(crate) mod run_state;
pub(crate) mod send_datagrams;
pub(crate) mod stack;
pub(crate) mod unmatched;
pub(crate) mod wait;
pub(crate) mod work;
