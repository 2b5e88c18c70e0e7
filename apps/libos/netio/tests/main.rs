//! Endpoints over RDMA, between two machines with a link that loses, repeats, delays and damages frames.

#[path = "../../rdma/tests/common/mod.rs"]
#[allow(dead_code, reason = "more of a link than is needed here")]
mod common;
mod rdma;
