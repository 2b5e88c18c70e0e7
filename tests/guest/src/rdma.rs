//! Queue pairs of contexts that fail: what they had comes back, and others' go on (N-4, N-5).
//!
//! The network is the emulator's user network: at 10.0.2.2, its gateway, nobody speaks RDMA.

use core::hint::spin_loop;
use core::net::{IpAddr, Ipv4Addr};
use core::sync::atomic::{AtomicU32, Ordering::Relaxed};
use core::time::Duration;
use reflex::rdma::{
    Access, Completion, MemoryRegion, PathMtu, Peer, Psn, QKey, Qpn, QueuePair, ReceiveRequest,
    SendRequest, SharedReceiveQueue, Status, Transport,
};
use reflex::{Error, OnFailure, Priority, Reason, Setup, SignalMode, System};

const NOBODY: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 2, 2));
const MEMORY: usize = 256 << 10;

fn until(done: impl Fn() -> bool) {
    while !done() {
        spin_loop();
    }
}

/// Starts the port and waits for an address.
fn configured(system: System) -> Result<(), Error> {
    let rdma = system.rdma()?;
    until(|| !rdma.addresses().is_empty());
    let net = system.net()?;
    until(|| net.address().is_some());
    Ok(())
}

/// What a context has, by name.
struct Means {
    reliable: QueuePair,
    datagrams: QueuePair,
    region: MemoryRegion,
    _shared: SharedReceiveQueue,
}

static LIVES: AtomicU32 = AtomicU32::new(0);

/// Everything there is, with work in flight.
fn means(system: System, setup: Setup<'_, Means>) -> Result<Means, Error> {
    let rdma = system.rdma()?;
    let domain = rdma.domain(setup.context())?;
    let completed = |_: &mut Means, completion: &mut Completion| {
        panic!("with the memory of {} in hand", completion.id);
    };
    let queue = rdma.completion_queue(setup.context(), 128, Priority::DEFAULT, completed)?;
    let shared = domain.shared_receive_queue(4)?;
    shared.post_receive(ReceiveRequest::bytes(domain.bytes(300)?))?;
    let reliable = domain.queue_pair(Transport::Reliable, &queue, &queue).depth(8, 8).build()?;
    let datagrams = domain.queue_pair(Transport::Datagram, &queue, &queue);
    let datagrams = datagrams.shared(&shared).depth(8, 0).build()?;
    let region = domain.register(domain.bytes(10_000)?, Access::REMOTE_WRITE)?;
    reliable.post_receive(ReceiveRequest::bytes(domain.bytes(2_000)?).id(1))?;
    let peer = Peer {
        address: NOBODY,
        queue_pair: Qpn::new(0x77),
        receive_psn: Psn::new(1),
        send_psn: Psn::new(1),
        mtu: PathMtu::B1024,
        // It waits for ever.
        timeout: 0,
        retries: 7,
        rnr_retries: 7,
        reads: 1,
    };
    reliable.establish(peer)?;
    reliable.post_send(SendRequest::message().bytes(domain.bytes(5_000)?).id(2))?;
    region.write(0, b"registered")?;
    LIVES.fetch_add(1, Relaxed);
    Ok(Means { reliable, datagrams, region, _shared: shared })
}

/// A context panics while it handles a completion, or without one, again and again: all of its
/// memory comes back, wherever it was, and its names name nothing. Another context's work is done
/// meanwhile.
#[reflex::test(group = "rdma")]
fn a_context_that_fails_gives_all_of_its_memory_back(system: System) -> Result<(), Error> {
    static SENT: AtomicU32 = AtomicU32::new(0);
    const ROUNDS: u32 = 12;
    configured(system)?;
    let rdma = system.rdma()?;
    let bystander = system.context("bystander", ()).memory(MEMORY).build()?;
    let domain = rdma.domain(bystander)?;
    let sent = |(): &mut (), completion: &mut Completion| {
        assert_eq!(completion.status, Status::Success);
        assert_eq!(completion.take_bytes().map(|bytes| bytes.len()), Some(100));
        SENT.fetch_add(1, Relaxed);
    };
    let queue = rdma.completion_queue(bystander, 16, Priority::HIGH, sent)?;
    let serving = domain.queue_pair(Transport::Datagram, &queue, &queue).depth(8, 8).build()?;
    let events = |round| until(move || SENT.load(Relaxed) == round);
    let builder = system
        .context_with("culprit", move |setup| means(system, setup))
        .memory(MEMORY)
        .backoff(Duration::from_millis(1), Duration::from_millis(1))
        .on_failure(OnFailure::Restart);
    // SAFETY: nothing that runs there leaves a pointer to its stack or its memory anywhere.
    let culprit = builder.after_failure(unsafe { reflex::Reuse::at_once() }).build()?;
    let pool = system.pool(culprit)?;
    let whole = || pool.stats().lent_blocks;
    let full = whole();
    assert!(full >= 5, "posted, registered and shared memory is lent: {full}");
    for round in 1..=ROUNDS {
        assert_eq!(LIVES.load(Relaxed), round);
        let wrong =
            system.signal(SignalMode::Counter).on(culprit, move |means: &mut Means, _| {
                match round % 3 {
                    // A completion comes, and its handler panics.
                    0 => means.reliable.fail().expect("it is there"),
                    1 => drop(means.datagrams.fail()),
                    _ => {}
                }
                let mut bytes = [0; 10];
                means.region.read(0, &mut bytes).expect("it is registered");
                assert_eq!(&bytes, b"registered");
                if round % 3 != 0 {
                    panic!("without a completion");
                }
            })?;
        wrong.fire()?;
        let bytes = domain.bytes(100)?;
        serving.post_send(SendRequest::message().bytes(bytes).to(NOBODY, Qpn::new(9), QKey(1)))?;
        events(round);
        until(|| LIVES.load(Relaxed) == round + 1);
        assert_eq!(system.stopped(culprit.id())?.reason, Reason::Panic);
        // What the life before had comes back in steps, and what this one has is as much.
        until(|| whole() == full);
    }
    Ok(())
}
