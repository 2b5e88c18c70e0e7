//! The code of `apps/libos/kind/GUIDE.md`, and the test in it (K-9).

include!(concat!(env!("OUT_DIR"), "/guide.rs"));
