//! The ping-pongs of libibverbs, to which either side can be Linux: `ibv_rc_pingpong`,
//! `ibv_uc_pingpong`, `ibv_ud_pingpong` and `ibv_srq_pingpong`.
//!
//! The two sides tell each other of their queue pairs over TCP. Then the client sends a message, which
//! the server sends back, as often as was asked for; the client checks that what comes back is what it
//! has sent. Either side ends when it is done.
//!
//! Keys of the kernel command line:
//!
//! | key | |
//! | --- | --- |
//! | `transport=rc\|uc\|ud` | what both sides have to agree on; `rc` unless given |
//! | `srq` | of `rc`: several queue pairs, with receives from one queue |
//! | `queue-pairs=N` | with `srq`: how many, 16 unless given |
//! | `client=ADDRESS` | is the client of that server; otherwise this is one |
//! | `v6` | of a client: over IPv6, but for what goes over TCP |
//! | `port=N` | the server's, 18515 unless given |
//! | `size=BYTES` | of a message, 4096 unless given; a packet at most, and unless given, with `ud` |
//! | `count=N` | messages each way, over all queue pairs, 1000 unless given |
//! | `rx-depth=N` | receives that are posted, 64 unless given |
//! | `mtu=BYTES` | payload of a packet, at most 1024 unless given |
//! | `timeout=N` | how long to wait for an acknowledge: 4.096 us times two to this power; 14 unless given |
#![no_std]
#![no_main]

extern crate alloc;

mod announcement;
mod exchange;
mod options;
mod rally;
mod session;

use options::Options;
use reflex::{Error, Priority, System};
use session::{Means, Session};

#[reflex::main(arguments = options::ARGUMENTS)]
fn main(system: System) -> Result<(), Error> {
    let rdma = system.rdma()?;
    let options = Options::read(system, rdma.mtu())?;
    let state = Session::new(system, options);
    let context = system.context("pingpong", state).memory(options.memory()).build()?;
    let linger = system.timer().on(context, |session: &mut Session, _| session.end())?;
    let domain = rdma.domain(context)?;
    let completed = Session::completed;
    let queue =
        rdma.completion_queue(context, options.completions(), Priority::DEFAULT, completed)?;
    // There has to be an address to tell the other side.
    let addressed = move |session: &mut Session, own: Option<_>| {
        if own.is_some() {
            let (domain, queue) = (domain.clone(), queue.clone());
            session.begin(Means { rdma, domain, queue, context, linger });
        }
    };
    system.net()?.on_address(context, addressed)?;
    Ok(())
}
