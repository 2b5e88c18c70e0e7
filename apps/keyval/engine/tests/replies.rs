//! Replies that are larger than what can be sent at once.

use crate::common::{Server, command, text, with_memory};
use keyval_engine::Policy;
use reflex_testkit::Random;

fn with_server<R>(work: impl FnOnce(&mut Server) -> R) -> R {
    with_memory(4 << 20, |memory| {
        work(&mut Server::new(memory, usize::MAX / 2, Policy::NoEviction))
    })
}

fn free(server: &Server) -> usize {
    server.memory.available()
}

/// A client that does not read is answered one reply, and no more is taken from it.
#[test]
fn a_client_that_does_not_read_is_held() {
    with_server(|server| {
        let mut session = server.open();
        let value = text(&mut Random::new(1), 100_000);
        server.command(&mut session, &[b"SET", b"a", &value]);
        let before = free(server);
        let asked = b"GET a\r\n".repeat(100);
        let mut room = [0; 500];
        let done = server.engine.exchange(&mut session, &asked, &mut room, server.now);
        assert_eq!((done.consumed, session.is_sent()), (7, false));
        let done = server.engine.exchange(&mut session, &asked[7..], &mut room, server.now);
        assert_eq!((done.consumed, done.written), (0, 0));
        assert!(before - free(server) < 4 << 10, "the value is not copied");
        server.engine.close(session);
    });
}

/// What is sent is what there was when it was asked for.
#[test]
fn a_value_that_changes_while_it_is_sent_is_sent_as_it_was() {
    with_server(|server| {
        let (mut reader, mut writer) = (server.open(), server.open());
        let random = &mut Random::new(2);
        let value = text(random, 100_000);
        server.command(&mut writer, &[b"SET", b"a", &value]);
        let full = free(server);
        let mut room = [0; 9];
        let done = server.engine.exchange(&mut reader, b"GET a\r\n", &mut room, server.now);
        assert_eq!(&room[..done.written], b"$100000\r\n");
        assert_eq!(server.command(&mut writer, &[b"APPEND", b"a", b"more"]), b":100004\r\n");
        server.command(&mut writer, &[b"SET", b"a", b"other"]);
        assert!(free(server) < full + 1_000, "it is still there");
        let sent = server.talk(&mut reader, b"", (random, 5_000));
        assert!(sent == [&value[..], b"\r\n"].concat());
        assert!(free(server) > full + 90_000, "it is gone");
        // A connection that ends in the middle lets it go, too.
        server.command(&mut writer, &[b"SET", b"a", &value]);
        server.engine.exchange(&mut reader, b"GET a\r\n", &mut room, server.now);
        server.command(&mut writer, &[b"DEL", b"a"]);
        server.engine.close(reader);
        assert!(free(server) > full + 90_000);
    });
}

/// Long values between short ones, with a reply of every kind around them.
#[test]
fn replies_keep_their_order() {
    with_server(|server| {
        let mut session = server.open();
        let random = &mut Random::new(3);
        let (one, two) = (text(random, 10_000), text(random, 5_000));
        let input = [
            command(&[b"MSET", b"one", &one, b"two", &two, b"three", b"3"]),
            command(&[b"MGET", b"three", b"one", b"none", b"two", b"one"]),
            command(&[b"PING"]),
            command(&[b"GETDEL", b"one"]),
            command(&[b"DBSIZE"]),
        ]
        .concat();
        let bulk =
            |value: &[u8]| [format!("${}\r\n", value.len()).as_bytes(), value, b"\r\n"].concat();
        let expected = [
            b"+OK\r\n*5\r\n".to_vec(),
            bulk(b"3"),
            bulk(&one),
            b"$-1\r\n".to_vec(),
            bulk(&two),
            bulk(&one),
            b"+PONG\r\n".to_vec(),
            bulk(&one),
            b":2\r\n".to_vec(),
        ]
        .concat();
        for longest in [7, 300, 4_096, 20_000] {
            assert!(server.talk(&mut session, &input, (random, longest)) == expected, "{longest}");
        }
    });
}

#[test]
fn a_reply_that_finds_no_memory_is_an_error() {
    with_memory(256 << 10, |memory| {
        let mut server = Server::new(memory, usize::MAX / 2, Policy::NoEviction);
        let mut session = server.open();
        server.command(&mut session, &[b"SET", b"a", &[b'x'; 3_000]]);
        let free = memory.available();
        let keys: Vec<&[u8]> = [&b"MGET"[..]].into_iter().chain([&b"a"[..]; 200]).collect();
        let answer = server.talk(&mut session, &command(&keys), (&mut Random::new(1), 1_000));
        assert_eq!(answer, b"-OOM there is no memory for the reply\r\n");
        assert_eq!(server.ask(&mut session, b"STRLEN a\r\n"), b":3000\r\n");
        assert!(memory.available() + (8 << 10) > free);
    });
}

#[test]
fn quit_is_answered_and_nothing_behind_it() {
    with_server(|server| {
        let mut session = server.open();
        assert_eq!(server.ask(&mut session, b"PING\r\nQUIT\r\nPING\r\n"), b"+PONG\r\n+OK\r\n");
        assert!(session.is_closing());
    });
}

#[test]
fn the_server_says_what_it_is() {
    with_server(|server| {
        let mut session = server.open();
        let mut ask = |input: &[u8]| String::from_utf8(server.ask(&mut session, input)).unwrap();
        assert!(
            ask(b"COMMAND\r\n")
                .starts_with("*40\r\n*6\r\n$3\r\nget\r\n:2\r\n*0\r\n:1\r\n:1\r\n:1\r\n")
        );
        assert_eq!(ask(b"COMMAND COUNT\r\n"), ":40\r\n");
        assert_eq!(ask(b"COMMAND INFO nothing\r\n"), "*1\r\n*-1\r\n");
        assert_eq!(ask(b"CONFIG GET SAVE\r\n"), "*2\r\n$4\r\nsave\r\n$0\r\n\r\n");
        assert!(ask(b"CONFIG GET max*\r\n").starts_with("*4\r\n$9\r\nmaxmemory\r\n"));
        assert!(ask(b"CONFIG SET maxmemory 1\r\n").starts_with("-ERR"));
        assert!(ask(b"HELLO 3\r\n").starts_with("-NOPROTO"));
        assert!(ask(b"HELLO 2\r\n").starts_with("*6\r\n$6\r\nserver\r\n"));
        assert_eq!(ask(b"SELECT 0\r\nSELECT 1\r\n"), "+OK\r\n-ERR DB index is out of range\r\n");
        assert_eq!(ask(b"CLIENT SETNAME me\r\n"), "+OK\r\n");
        ask(b"SET a 1 EX 100\r\nGET a\r\nGET b\r\n");
        let info = ask(b"INFO\r\n");
        for line in ["db0:keys=1,expires=1,", "keyspace_hits:1\r\n", "keyspace_misses:1\r\n"] {
            assert!(info.contains(line), "{info}");
        }
        assert!(!ask(b"INFO stats\r\n").contains("db0"));
    });
}
