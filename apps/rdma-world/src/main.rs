//! Programs that speak RDMA, of which the other side can be Linux: of librdmacm `ucmatose`, `udaddy`, `cmtime`, `rstream` and
//! `rcopy`, of libfabric `fi_pingpong`, and `qperf`.
//!
//! Each is a module, and says there what the two sides tell each other. It is a server, or with `peer=` the client of
//! one. The image ends when the other side has what it wanted.
//!
//! Keys of the kernel command line:
//!
//! | key | |
//! | --- | --- |
//! | `program=NAME` | which |
//! | `peer=ADDRESS` | is the client of that server; otherwise this is one |
//! | `port=N` | the server's; that of the program unless given |
//! | `connections=N` | of `ucmatose` and `cmtime`; 1 unless given |
//! | `count=N` | messages, 10 unless given |
//! | `size=BYTES` | of a message; the program's usual ones unless given |
//! | `iterations=N` | of `rstream`: times that so many messages go each way, 10 unless given |
//! | `test=NAME` | of `qperf`: `rc_lat` unless given |
//! | `seconds=N` | of `qperf`: 1 unless given |
#![no_std]
#![no_main]

extern crate alloc;

mod cmtime;
mod fi_pingpong;
mod options;
mod qperf;
mod rcopy;
mod rsocket;
mod rstream;
mod ucmatose;
mod udaddy;

use options::Options;
use reflex::{Error, System};

/// Has a program's side of a conversation begin.
macro_rules! begin {
    ($system:expr, $options:expr, $program:ident) => {{
        let options = $options;
        rdma_script::begin($system, options.terms(), move |desk| $program::play(desk, options))
    }};
}

#[reflex::main(arguments = options::ARGUMENTS)]
fn main(system: System) -> Result<(), Error> {
    let options = Options::read(system)?;
    match system.argument(options::PROGRAM) {
        Some("ucmatose") => begin!(system, options, ucmatose),
        Some("udaddy") => begin!(system, options, udaddy),
        Some("cmtime") => begin!(system, options, cmtime),
        Some("fi_pingpong") => begin!(system, options, fi_pingpong),
        Some("rstream") => begin!(system, options, rstream),
        Some("rcopy") => begin!(system, options, rcopy),
        Some("qperf") => begin!(system, options, qperf),
        _ => {
            Err("program: there is no such program; `help` and the documentation name them".into())
        }
    }
}
