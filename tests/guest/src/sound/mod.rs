//! What safe code may rely on, by the kinds of ways in which it could be let down; `docs/soundness.md`
//! says why each holds. A test here does in safe code alone what would be undefined behaviour, were
//! it let.

mod abandoned;
mod borrowed;
mod dropped;
mod identity;
mod quarantine;
mod reentry;
mod replacement;
