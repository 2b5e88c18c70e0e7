//! All of the crate's tests but the models in one program.

mod cores;
mod requests;
mod ring;
