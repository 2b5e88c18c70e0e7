//! No packet costs a call of the global heap.

mod common;

use common::{bench, rings};
use reflex_hil::{Acknowledge, Receive, Transmit};
use reflex_virtio_net::HEADER;
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    static CALLS: Cell<usize> = const { Cell::new(0) };
}

struct Counting;

fn count() {
    // A thread that ends has no counter any more, and none is wanted.
    _ = CALLS.try_with(|calls| calls.set(calls.get() + 1));
}

// SAFETY: the system's allocator, with a counter that does not allocate.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the layout is not empty, says the caller.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        count();
        // SAFETY: the caller got it from `alloc`, and so from `System`, for this layout.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static HEAP: Counting = Counting;

#[test]
fn packets_make_no_heap_call() {
    let mut bench = bench(rings(16, 16), 4);
    let packet = [7; HEADER + 60];
    let before = CALLS.get();
    assert!(before > 0, "the counter counts");
    for _ in 0..1000 {
        bench.receiver.quiet().acknowledge();
        for _ in 0..16 {
            let buffer = bench.receive.take().expect("a buffer");
            buffer.write(&packet);
            bench.receive.finish(buffer.id.into(), packet.len() as u32);
        }
        let mut answered = 0;
        while let Some(frame) = bench.receiver.next() {
            let sent = bench.transmitter.transmit(60, &mut |place| place.copy_from_slice(&frame));
            assert_eq!(sent, Ok(()));
            answered += 1;
        }
        assert_eq!(answered, 16);
        assert!(!bench.receiver.enable());
        bench.transmitter.flush();
        assert!(!bench.transmitter.notify_when_available());
        while let Some(buffer) = bench.transmit.take() {
            bench.transmit.finish(buffer.id.into(), 0);
        }
        assert!(bench.transmitter.notify_when_available());
    }
    assert_eq!(CALLS.get(), before);
}
