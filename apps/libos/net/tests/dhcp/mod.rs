//! The stack's address by DHCP, with a server of hand-made messages.

mod life;
mod routers;
mod server;
mod storms;
mod taken;
