//! Memory that is set aside for connections when their port is opened.

use crate::common;
use common::raw::{ACK, SYN, Segment, introduce, segments};
use common::{Host, Noting, pattern};
use proptest::prelude::*;
use reflex_event::{Context, Instant};
use reflex_net::{BufferMemory, Error, Listener, TcpSettings, Written};
use reflex_testkit::{Clock, SimKernel, Trace};

const PORT: u16 = 80;

fn start() -> (Clock, Host, Context<Noting>) {
    let clock = Clock::default();
    clock.set(Instant::from_nanos(1_000_000_000));
    let host = Host::new(&clock, 1, 5);
    host.exchange(&clock, &introduce(host.address));
    let service = host.kernel.context(Noting::new("s", &Trace::default()), 64 << 10);
    (clock, host, service)
}

fn settings(connections: u32, buffers: (usize, usize), queue: usize) -> TcpSettings {
    let (receive_buffer, send_buffer) = buffers;
    let memory = BufferMemory::SetAside;
    TcpSettings {
        connections,
        receive_buffer,
        send_buffer,
        queue,
        memory,
        ..TcpSettings::default()
    }
}

fn listen(
    host: &Host,
    service: Context<Noting>,
    settings: TcpSettings,
) -> Result<Listener<SimKernel>, Error> {
    host.net.listen(PORT).with(settings).serve(service)
}

fn open(clock: &Clock, host: &Host, source: u16) {
    let feed =
        |segment: Segment| segments(&host.exchange(clock, &segment.frame(host.mac, host.address)));
    let syn = feed(Segment::new(source, PORT, SYN, 1000, 0));
    feed(Segment::new(source, PORT, ACK, 1001, syn[0].sequence.wrapping_add(1)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whatever the sizes: all connections there may be are accepted, each has its whole queue, and the context's own
    /// memory has no part in that.
    #[test]
    fn what_is_set_aside_is_enough_for_all(
        connections in 1u32..40,
        receive in 100usize..9000,
        send in 100usize..9000,
        queue in prop_oneof![Just(0usize), 1usize..20_000],
    ) {
        let (clock, host, service) = start();
        listen(&host, service, settings(connections, (receive, send), queue)).unwrap();
        for number in 0..connections as u16 {
            open(&clock, &host, 4000 + number);
            let last = host.kernel.state(service, |state| state.last.clone().unwrap());
            let most = last.writable().unwrap();
            prop_assert_eq!(most, send + queue);
            prop_assert_ne!(last.write(&pattern(most, 1)), Written::Refused);
            host.kernel.run_until_idle();
            host.sent(&clock);
        }
        let counters = host.net.counters();
        prop_assert_eq!((counters.accepted, counters.no_memory), (u64::from(connections), 0));
        prop_assert_eq!(host.kernel.troubles(service), &[]);
    }
}

#[test]
fn less_than_is_needed_is_refused_with_the_amounts() {
    let (_, host, service) = start();
    let wanted = settings(20, (4096, 8192), 16384);
    host.kernel.set_free(100_000);
    let refused = listen(&host, service, wanted).err();
    let Some(Error::BufferMemory { needed, free: 100_000 }) = refused else {
        panic!("{refused:?}");
    };
    // What there is to it beside the buffers is little.
    let buffers = 20 * (4096 + 8192 + 16384);
    assert!((buffers..buffers * 5 / 4 + 40_000).contains(&needed), "{needed}");
    let said = refused.unwrap().to_string();
    assert_eq!(
        said,
        format!("the connections' buffers need {needed} bytes, and 100000 are to be had")
    );
    // Nothing was taken by that, and as much as is needed will do.
    host.kernel.set_free(needed - 1);
    assert!(listen(&host, service, wanted).is_err());
    host.kernel.set_free(needed);
    listen(&host, service, wanted).unwrap();
    assert_eq!(host.kernel.free(), 0);
}

#[test]
fn handlers_that_the_context_has_no_room_for_are_refused_with_the_amounts() {
    let (_, host, service) = start();
    let refused = listen(&host, service, settings(4096, (100, 100), 0)).err();
    let Some(Error::HandlerMemory { needed, free }) = refused else { panic!("{refused:?}") };
    assert!(needed >= 4096 * 32 && free < 64 << 10, "{needed}, {free}");
    listen(&host, service, settings(4096 * free as u32 / needed as u32, (100, 100), 0)).unwrap();
}

/// The next life of a context has what was set aside for the one before.
#[test]
fn a_context_that_opens_its_port_again_takes_no_more() {
    let (clock, host, service) = start();
    let wanted = settings(3, (4096, 8192), 16384);
    host.kernel.set_free(1 << 20);
    assert_eq!(listen(&host, service, wanted).unwrap().cut_off(), 0);
    let free = host.kernel.free();
    assert!(free < 1 << 20);
    for life in 0..5 {
        open(&clock, &host, 4000 + life);
        let last = host.kernel.state(service, |state| state.last.clone().unwrap());
        assert_ne!(last.write(&pattern(20_000, 1)), Written::Refused);
        host.kernel.end(service);
        host.kernel.run_until_idle();
        host.sent(&clock);
        assert_eq!(last.write(b"more"), Written::Refused);
        let listener = listen(&host, service, wanted).unwrap();
        assert_eq!(host.kernel.free(), free);
        // It is told what became of its predecessors' connections.
        assert_eq!(listener.cut_off(), u32::from(life) + 1);
    }
}
