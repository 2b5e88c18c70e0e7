//! Walks over all keys, and deadlines.

use crate::common::{Server, with_memory};
use keyval_engine::{Policy, Session};
use std::collections::BTreeSet;

fn with_keys<R>(keys: usize, work: impl FnOnce(&mut Server, &mut Session) -> R) -> R {
    with_memory(16 << 20, |memory| {
        let mut server = Server::new(memory, usize::MAX / 2, Policy::NoEviction);
        let mut session = server.open();
        for number in 0..keys {
            server.ask(&mut session, format!("SET key:{number} {number}\r\n").as_bytes());
        }
        work(&mut server, &mut session)
    })
}

/// The cursor and the keys of a reply to SCAN.
fn page(reply: &[u8]) -> (String, Vec<String>) {
    let text = String::from_utf8(reply.to_vec()).unwrap();
    let lines: Vec<&str> = text.split("\r\n").collect();
    let keys = lines[4..].iter().skip(1).step_by(2).map(|key| key.to_string());
    (lines[2].into(), keys.filter(|key| !key.is_empty()).collect())
}

/// Each key that is there all the time is met once, and none twice, however many come and go meanwhile.
#[test]
fn a_scan_meets_every_key_once_while_tables_grow() {
    with_keys(3_000, |server, session| {
        let (mut cursor, mut met, mut pages) = (String::from("0"), BTreeSet::new(), 0);
        loop {
            let asked = format!("SCAN {cursor} MATCH key:* COUNT 40\r\n");
            let (next, keys) = page(&server.ask(session, asked.as_bytes()));
            assert!(keys.len() < 400, "a page is about as long as was asked for");
            for key in keys {
                assert!(met.insert(key.clone()), "{key} is met twice");
            }
            for number in 0..60 {
                let text = format!("SET other:{pages}:{number} x\r\n");
                server.ask(session, text.as_bytes());
            }
            (cursor, pages) = (next, pages + 1);
            if cursor == "0" {
                break;
            }
        }
        assert_eq!(met.len(), 3_000);
        assert!(pages > 20, "{pages}");
    });
}

#[test]
fn keys_are_found_by_pattern() {
    with_keys(200, |server, session| {
        let mut ask = |input: &[u8]| String::from_utf8(server.ask(session, input)).unwrap();
        assert!(ask(b"KEYS *\r\n").starts_with("*200\r\n"));
        assert!(ask(b"KEYS key:1?\r\n").starts_with("*10\r\n"));
        assert_eq!(ask(b"KEYS key:7\r\n"), "*1\r\n$5\r\nkey:7\r\n");
        assert_eq!(ask(b"KEYS nothing\r\n"), "*0\r\n");
        let (cursor, keys) = page(ask(b"SCAN 0 COUNT 1000 TYPE list\r\n").as_bytes());
        assert_eq!((cursor.as_str(), keys.len()), ("0", 0));
        assert_eq!(ask(b"SCAN x\r\n"), "-ERR invalid cursor\r\n");
        assert_eq!(ask(b"SCAN 0 COUNT 0\r\n"), "-ERR syntax error\r\n");
    });
}

/// Deadlines remove keys that nobody asks for; without a timer they are gone when they are asked for.
#[test]
fn a_key_is_gone_when_its_time_is_up() {
    with_keys(0, |server, session| {
        let mut ask = |server: &mut Server, input: &[u8]| {
            String::from_utf8(server.ask(session, input)).unwrap()
        };
        ask(
            server,
            b"SET a 1 EX 10\r\nSET b 1 PX 500\r\nSET c 1\r\nEXPIRE c 1\r\nSET d 1 EX 5\r\n",
        );
        assert_eq!(ask(server, b"TTL a\r\nPTTL b\r\nTTL c\r\n"), ":10\r\n:500\r\n:1\r\n");
        assert_eq!(ask(server, b"PERSIST d\r\nTTL d\r\nTTL none\r\n"), ":1\r\n:-1\r\n:-2\r\n");
        server.pass(1_000);
        assert_eq!(server.shared.counters.keys.get(), 2, "without being asked for");
        assert_eq!(ask(server, b"EXISTS a b c d\r\n"), ":2\r\n");
        assert_eq!(server.shared.counters.expired.get(), 2);
        // The timer is late: time alone removes it.
        server.now += 60_000;
        assert_eq!(ask(server, b"GET a\r\nDBSIZE\r\n"), "$-1\r\n:1\r\n");
        assert!(server.told.0.borrow().is_empty());
        for wrong in ["0", "-1", "9223372036854775807"] {
            let text = format!("SET a 1 EX {wrong}\r\n");
            let expected = "-ERR invalid expire time in 'set' command\r\n";
            assert_eq!(ask(server, text.as_bytes()), expected);
        }
        assert_eq!(ask(server, b"SET a 1\r\nEXPIRE a -1\r\nEXISTS a\r\n"), "+OK\r\n:1\r\n:0\r\n");
    });
}
