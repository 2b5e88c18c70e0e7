//! What TCP asks for and smoltcp does not do, done in front of it: `docs/networking.md` has each rule with its
//! document and section.
//!
//! smoltcp is told nothing that is not a segment. What it is to do it is brought to by segments: those of the
//! peer, cut or with another acknowledgement (`arrival`), and such as are *played* to it (`play`). What an undisturbed
//! connection exchanges it is not told at all (`ahead`).

pub(crate) mod ahead;
pub(crate) mod arrival;
pub(crate) mod bare;
pub(crate) mod cookie;
pub(crate) mod exchange;
pub(crate) mod gone;
pub(crate) mod half_open;
pub(crate) mod lead;
pub(crate) mod limits;
pub(crate) mod loss;
pub(crate) mod patience;
pub(crate) mod play;
pub(crate) mod recovery;
pub(crate) mod sequence;
pub(crate) mod window;
