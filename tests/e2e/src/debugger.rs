//! What a debugger sees of a guest.

use crate::guest::{Guest, PATIENCE, machine};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Instant;

const PORT: u16 = 1234;

/// Sends a command of gdb's remote protocol, and returns what is answered.
fn ask(stream: &mut BufReader<TcpStream>, command: &str) -> String {
    let sum = command.bytes().fold(0_u8, u8::wrapping_add);
    write!(stream.get_mut(), "${command}#{sum:02x}").expect("the debugger's port takes a command");
    let mut skipped = Vec::new();
    stream.read_until(b'$', &mut skipped).expect("an answer");
    let mut answer = Vec::new();
    stream.read_until(b'#', &mut answer).expect("the answer's end");
    let mut sum = [0; 2];
    stream.read_exact(&mut sum).expect("the answer's sum");
    stream.get_mut().write_all(b"+").expect("the debugger's port takes an acknowledgement");
    answer.pop();
    String::from_utf8(answer).expect("text")
}

/// Every core is one of its threads.
#[test]
fn a_debugger_sees_every_core() {
    let guest = Guest::start(machine("hello").cpus(4).gdb(PORT));
    let until = Instant::now() + PATIENCE;
    let stream = loop {
        match TcpStream::connect(("127.0.0.1", PORT)) {
            Ok(stream) => break stream,
            Err(error) => assert!(Instant::now() < until, "{error}"),
        }
    };
    stream.set_read_timeout(Some(PATIENCE)).expect("a time-out");
    let mut stream = BufReader::new(stream);
    let mut threads = Vec::new();
    let mut answer = ask(&mut stream, "qfThreadInfo");
    while let Some(list) = answer.strip_prefix('m') {
        threads.extend(list.split(',').map(str::to_owned));
        answer = ask(&mut stream, "qsThreadInfo");
    }
    assert_eq!(threads.len(), 4, "{threads:?}");
    guest.stop();
}
