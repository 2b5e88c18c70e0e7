//! Memory: what is refused, what is evicted, and what becomes of a connection meanwhile.

use crate::common::{Server, command, seed, text, with_memory};
use keyval_engine::Policy;
use reflex_testkit::Random;

const OOM: &[u8] = b"-OOM command not allowed when used memory > 'maxmemory'.\r\n";

fn key(number: u64) -> Vec<u8> {
    format!("key:{number:08}").into_bytes()
}

/// Sets keys of 200 bytes, the `numbers` of them; returns how many were refused.
fn fill(server: &mut Server, numbers: std::ops::Range<u64>) -> usize {
    let mut session = server.open();
    let mut refused = 0;
    for number in numbers {
        let answer = server.command(&mut session, &[b"SET", &key(number), &[b'v'; 200]]);
        assert!(answer == b"+OK\r\n" || answer == OOM);
        refused += usize::from(answer == OOM);
    }
    server.engine.close(session);
    refused
}

fn used(server: &Server) -> usize {
    server.memory.stats().capacity - server.memory.available()
}

#[test]
fn a_full_store_refuses_writes_and_goes_on() {
    with_memory(4 << 20, |memory| {
        let mut server = Server::new(memory, 2 << 20, Policy::NoEviction);
        let refused = fill(&mut server, 0..10_000);
        let stored = 10_000 - refused as u64;
        assert!(stored > 3_000, "{stored}");
        assert!(used(&server) <= 2 << 20);
        assert_eq!(server.shared.counters.refused.get(), refused as u64);
        let mut session = server.open();
        let answer = server.ask(&mut session, b"GET key:00000000\r\n");
        assert_eq!(answer, [b"$200\r\n", &[b'v'; 200][..], b"\r\n"].concat());
        // What takes no more memory is still done.
        let answer = server.command(&mut session, &[b"SET", &key(0), &[b'w'; 200]]);
        assert_eq!(answer, b"+OK\r\n");
        assert_eq!(server.ask(&mut session, b"FLUSHALL\r\nDBSIZE\r\n"), b"+OK\r\n:0\r\n");
        assert_eq!(fill(&mut server, 0..1_000), 0);
    });
}

/// The command that has no memory is read to its end; what is pipelined behind it is answered.
#[test]
fn a_value_that_finds_no_memory_is_refused_and_what_follows_answered() {
    with_memory(1 << 20, |memory| {
        let mut server = Server::new(memory, 600 << 10, Policy::NoEviction);
        for longest in [1 << 20, 5_000, 100] {
            let mut session = server.open();
            let random = &mut Random::new(longest);
            let value = text(random, 700 << 10);
            let set = command(&[b"SET", b"a", &value]);
            let input = [b"PING\r\n", &set[..], b"EXISTS a\r\n"].concat();
            let expected = [b"+PONG\r\n", OOM, b":0\r\n"].concat();
            assert_eq!(server.talk(&mut session, &input, (random, longest)), expected);
            server.engine.close(session);
        }
        assert!(used(&server) < 100 << 10);
    });
}

#[test]
fn the_keys_that_were_not_used_for_longest_make_room() {
    with_memory(4 << 20, |memory| {
        let mut server = Server::new(memory, 2 << 20, Policy::AllKeysLru);
        let mut session = server.open();
        assert_eq!(fill(&mut server, 0..4_000), 0);
        let before = server.shared.counters.evicted.get();
        // The first hundred are used again and again, while others come.
        for round in 0..20 {
            for number in 0..100 {
                server.command(&mut session, &[b"GET", &key(number)]);
            }
            assert_eq!(fill(&mut server, 4_000 + round * 500..4_500 + round * 500), 0);
            assert!(used(&server) <= 2 << 20);
        }
        assert!(server.shared.counters.evicted.get() > before + 6_000);
        let kept = |server: &mut Server, session: &mut _, numbers: std::ops::Range<u64>| {
            let there =
                |number: &u64| server.command(session, &[b"EXISTS", &key(*number)]) == b":1\r\n";
            numbers.filter(there).count()
        };
        let (used, unused) =
            (kept(&mut server, &mut session, 0..100), kept(&mut server, &mut session, 100..4_000));
        assert!(used > 70 && unused < 40, "{used} of 100 used ones, {unused} of 3,900 others");
    });
}

#[test]
fn a_lower_limit_is_kept_at_once() {
    with_memory(4 << 20, |memory| {
        let mut server = Server::new(memory, 3 << 20, Policy::AllKeysLru);
        fill(&mut server, 0..6_000);
        assert!(used(&server) > 1 << 20);
        server.shared.limits.set_memory(1 << 20);
        server.engine.trim();
        assert!(used(&server) <= 1 << 20);
        assert!(server.shared.counters.keys.get() > 1_000);
    });
}

/// A value of the greatest length goes in and comes out; one byte more is no value.
#[test]
fn values_have_up_to_eight_megabytes() {
    with_memory(24 << 20, |memory| {
        let mut server = Server::new(memory, 23 << 20, Policy::NoEviction);
        let random = &mut Random::new(8);
        let mut session = server.open();
        let value = text(random, 8 << 20);
        let set = command(&[b"SET", b"a", &value]);
        assert_eq!(server.talk(&mut session, &set, (random, 16 << 10)), b"+OK\r\n");
        // The text of the command, the chunks, their list: there is no second copy.
        assert!(used(&server) < (8 << 20) + (600 << 10), "{}", used(&server));
        let got = server.talk(&mut session, b"GET a\r\n", (random, 16 << 10));
        assert!(got == [b"$8388608\r\n", &value[..], b"\r\n"].concat());
        let long = b"-ERR string exceeds maximum allowed size (8388608 bytes)\r\n";
        assert_eq!(server.command(&mut session, &[b"APPEND", b"a", b"x"]), long);
        assert_eq!(server.ask(&mut session, b"STRLEN a\r\nDEL a\r\n"), b":8388608\r\n:1\r\n");
        assert!(used(&server) < 200 << 10);
    });
}

/// Every piece of memory that a command takes is refused once or more: it says so, or is answered, and nothing is
/// lost; a store that evicts answers the same to all that fits.
#[test]
fn memory_may_end_anywhere() {
    let seed = seed();
    for number in 0..300 {
        let random = &mut Random::new(seed.wrapping_add(number));
        let policy = [Policy::NoEviction, Policy::AllKeysLru][number as usize % 2];
        let bytes = (64 << 10) + random.below(64 << 10) as usize;
        with_memory(bytes, |memory| {
            let mut server = Server::new(memory, usize::MAX / 2, policy);
            let (mut session, idle) = (server.open(), memory.available());
            for _ in 0..200 {
                let (name, name2) = (key(random.below(200)), key(random.below(200)));
                let most = [300, 9_000][random.below(2) as usize];
                let length = random.below(most) as usize;
                let value = text(random, length);
                let words: &[&[u8]] = match random.below(8) {
                    0 | 1 => &[b"GET", &name],
                    2 => &[b"APPEND", &name, &value],
                    3 => &[b"MSET", &name, &value, &name2, &value],
                    4 => &[b"MGET", &name, &name2, &name, &name2],
                    5 => &[b"DEL", &name, &name2],
                    _ => &[b"SET", &name, &value, b"PX", b"60"],
                };
                let longest = [10, 700, 30_000][random.below(3) as usize];
                let answer = server.talk(&mut session, &command(words), (random, longest));
                assert!(!answer.starts_with(b"-ERR"), "{}", answer.escape_ascii());
                server.pass(1);
            }
            server.command(&mut session, &[b"FLUSHALL"]);
            server.engine.close(session);
            let kept = idle.saturating_sub(memory.available());
            assert!(kept < 24 << 10, "seed {seed}, {number}: {kept} bytes are lost");
        });
    }
}
