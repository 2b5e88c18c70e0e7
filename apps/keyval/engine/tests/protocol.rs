//! What is RESP, what is not, and what lies about its lengths.

use crate::common::{Server, command, seed, with_memory};
use keyval_engine::Policy;
use reflex_testkit::Random;

fn with_server<R>(work: impl FnOnce(&mut Server) -> R) -> R {
    with_memory(4 << 20, |memory| {
        work(&mut Server::new(memory, usize::MAX / 2, Policy::NoEviction))
    })
}

/// What a new connection is answered, with the bytes in pieces of every length.
fn answer(input: &[u8]) -> String {
    with_server(|server| {
        let mut session = server.open();
        let whole = server.ask(&mut session, input);
        server.engine.close(session);
        for longest in [1, 2, 3, 7, 100] {
            let mut session = server.open();
            server.command(&mut session, &[b"FLUSHALL"]);
            let cut = (&mut Random::new(longest), longest);
            let answer = server.talk(&mut session, input, cut);
            assert_eq!(answer.escape_ascii().to_string(), whole.escape_ascii().to_string());
            server.engine.close(session);
        }
        whole.escape_ascii().to_string()
    })
}

#[test]
fn lines_of_words_are_commands() {
    assert_eq!(answer(b"PING\r\n"), r"+PONG\r\n");
    assert_eq!(answer(b"  set  a\t1 \n\r\nget a\n"), r"+OK\r\n$1\r\n1\r\n");
    assert_eq!(answer(b"echo \"a b\\x41\\n\"\r\n"), r"$5\r\na bA\n\r\n");
    assert_eq!(answer(b"echo 'it\\'s'\r\n"), r"$4\r\nit\'s\r\n");
    assert_eq!(answer(b"echo \"\"\r\n"), r"$0\r\n\r\n");
    assert_eq!(answer(b"echo 'x\r\n"), r"-ERR Protocol error: unbalanced quotes in request\r\n");
    assert_eq!(answer(b"echo 'x'y\r\n"), r"-ERR Protocol error: unbalanced quotes in request\r\n");
}

#[test]
fn names_are_of_either_case_and_arguments_are_counted() {
    assert_eq!(answer(&command(&[b"pInG", b"x"])), r"$1\r\nx\r\n");
    let wrong = r"-ERR wrong number of arguments for \'get\' command\r\n";
    assert_eq!(answer(&command(&[b"GET"])), wrong);
    assert_eq!(answer(&command(&[b"GET", b"a", b"b"])), wrong);
    assert_eq!(answer(&command(&[b"GE@"])), r"-ERR unknown command \'GE@\'\r\n");
    assert_eq!(answer(&command(&[b"", b""])), r"-ERR unknown command \'\'\r\n");
    let long = [b'x'; 5_000];
    assert_eq!(answer(&command(&[&long])), r"-ERR argument is longer than 4000 bytes\r\n");
    assert_eq!(answer(&command(&[b"GET", &long])), r"-ERR key is longer than 4000 bytes\r\n");
    assert_eq!(answer(b"*0\r\n*-1\r\n\r\nPING\r\n"), r"+PONG\r\n");
}

/// Each is told what is wrong, once, after what was right before it; nothing behind it is a command.
#[test]
fn what_is_no_resp_is_told_so_and_ends_the_connection() {
    let lies: [(&[u8], &str); 17] = [
        (b"*1\r\n$-1\r\n", "invalid bulk length"),
        (b"*1\r\n$8388609\r\n", "invalid bulk length"),
        (b"*1\r\n$99999999999999999999\r\n", "invalid bulk length"),
        (b"*1\r\n$1x\r\n", "invalid bulk length"),
        (b"*1\r\n$\r\n", "invalid bulk length"),
        (b"*1\r\n$4\nPING\r\n", "invalid bulk length"),
        (b"*1048577\r\n", "invalid multibulk length"),
        (b"*x\r\n", "invalid multibulk length"),
        (b"*\r\n", "invalid multibulk length"),
        (b"*18446744073709551617\r\n", "invalid multibulk length"),
        (b"*1\r\nPING\r\n", "expected \\'$\\', got \\'P\\'"),
        (b"*1\r\n:1\r\n", "expected \\'$\\', got \\':\\'"),
        (b"*2\r\n$4\r\nECHO\r\n$2\r\nabc\r\n", "expected an end of line behind an argument"),
        (b"*2\r\n$4\r\nECHO\r\n$4\r\nabc\r\n\r\n", "expected an end of line behind an argument"),
        (b"*2\r\n$4\r\nECHO\r\n$0\r\nx\r\n", "expected an end of line behind an argument"),
        (&[b'*'; 100], "too big mbulk count string"),
        (b"*1\r\n$00000000000000000000000000000000000004\r\n", "too big bulk count string"),
    ];
    for (lie, error) in lies {
        let input = [b"PING\r\n", lie, b"\r\nPING\r\nSET a 1\r\n"].concat();
        assert_eq!(
            answer(&input),
            format!(r"+PONG\r\n-ERR Protocol error: {error}\r\n"),
            "{}",
            lie.escape_ascii()
        );
    }
    let long = [b'x'; 64 << 10];
    assert_eq!(answer(&long), r"-ERR Protocol error: too big inline request\r\n");
}

#[test]
fn a_lie_is_counted_and_costs_no_other_connection_anything() {
    with_server(|server| {
        let (mut liar, mut other) = (server.open(), server.open());
        let begun = command(&[b"SET", b"a", &[b'x'; 6_000]]);
        server.ask(&mut other, &begun[..3_000]);
        server.ask(&mut liar, b"*1\r\n$77777777\r\n");
        assert!(liar.is_closing() && !other.is_closing());
        assert_eq!(server.shared.counters.protocol_errors.get(), 1);
        assert_eq!(server.ask(&mut other, &begun[3_000..]), b"+OK\r\n");
        server.engine.close(liar);
        assert_eq!(server.shared.counters.clients.get(), 1);
        assert_eq!(server.ask(&mut other, b"STRLEN a\r\n"), b":6000\r\n");
    });
}

/// A length is not believed before the bytes are there.
#[test]
fn a_promise_of_many_bytes_takes_no_memory() {
    with_server(|server| {
        let mut session = server.open();
        let before = server.memory.available();
        server.ask(&mut session, b"*1048576\r\n$3\r\nSET\r\n$1\r\na\r\n$8388608\r\nbegin");
        assert!(before - server.memory.available() < 16 << 10);
        server.engine.close(session);
        assert!(server.memory.available() + (1 << 10) >= before);
    });
}

/// Bytes of all kinds, with those of the protocol among them: whatever comes, the server goes on.
#[test]
fn noise_harms_nobody() {
    let seed = seed();
    with_server(|server| {
        for number in 0..2_000 {
            let random = &mut Random::new(seed.wrapping_add(number));
            let mut session = server.open();
            let mut noise = Vec::new();
            for _ in 0..random.below(60) {
                let parts: [&[u8]; 12] = [
                    b"*",
                    b"$",
                    b"\r\n",
                    b"1",
                    b"3",
                    b"SET",
                    b"GET",
                    b" ",
                    b"\"",
                    b"*3\r\n$3\r\nSET\r\n",
                    b"$1\r\na\r\n",
                    b"\xff",
                ];
                noise.extend(parts[random.below(12) as usize]);
            }
            server.talk(&mut session, &noise, (random, 20));
            server.engine.close(session);
        }
        let mut session = server.open();
        assert_eq!(server.ask(&mut session, b"PING\r\n"), b"+PONG\r\n");
    });
}
