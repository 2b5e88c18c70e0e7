//! All of the crate's tests in one program: what they stand on is compiled once.

mod abandoned;
mod borrowed;
mod churn;
mod common;
mod conflict;
mod dhcp;
mod flood;
mod frames;
mod hostile;
mod judged;
mod limits;
mod many;
mod nd;
mod neighbours;
mod opening;
mod order;
mod owner_gone;
mod receive;
mod script;
mod set_aside;
mod shortage;
mod states;
mod steps;
mod tcp;
mod transfer;
mod write;
