//! The key-value server, by a client that writes the protocol by hand: values of every length, a client that does
//! not read, lies, the limit of memory, and the administrative port beside a busy store. What people use as clients is
//! in `tests/world`.

use crate::guest::{Guest, PATIENCE, machine, user};
use reflex_qemu::protocol::Protocol;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};

const DATA: u16 = 6379;
const ADMINISTRATION: u16 = 6380;
const PORTS: [(Protocol, u16); 3] =
    [(Protocol::Tcp, DATA), (Protocol::Tcp, ADMINISTRATION), (Protocol::Udp, DATA)];
/// Keys, and bytes of each value, that fit 64 MiB.
const KEYS: usize = 40_000;
const VALUE: usize = 200;

/// A connection.
struct Client {
    stream: TcpStream,
    reader: BufReader<TcpStream>,
}

impl Client {
    fn new(server: SocketAddr) -> Self {
        let stream = TcpStream::connect_timeout(&server, PATIENCE).expect("it accepts");
        stream.set_read_timeout(Some(PATIENCE)).expect("a time-out");
        stream.set_nodelay(true).expect("no delay");
        let reader = BufReader::new(stream.try_clone().expect("another handle"));
        Self { stream, reader }
    }

    fn send(&mut self, words: &[&[u8]]) {
        self.stream.write_all(&command(words)).expect("it takes everything");
    }

    /// The line that is next, without its end.
    fn line(&mut self) -> String {
        let mut line = Vec::new();
        self.reader.read_until(b'\n', &mut line).expect("a line");
        String::from_utf8_lossy(&line).trim_end().to_owned()
    }

    /// The bulk string that is next.
    fn bulk(&mut self) -> Vec<u8> {
        let header = self.line();
        self.rest_of_bulk(header[1..].parse().unwrap_or_else(|_| panic!("{header}")))
    }

    /// What stands behind its length.
    fn rest_of_bulk(&mut self, length: usize) -> Vec<u8> {
        let mut value = vec![0; length + 2];
        self.reader.read_exact(&mut value).expect("all of it");
        assert_eq!(value.split_off(length), b"\r\n");
        value
    }

    /// What one command is answered, in a line.
    fn ask(&mut self, words: &[&[u8]]) -> String {
        self.send(words);
        self.line()
    }

    /// The number in INFO's line of this name.
    fn info(&mut self, name: &str) -> u64 {
        self.send(&[b"INFO"]);
        let text = String::from_utf8(self.bulk()).expect("text");
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.and_then(|number| number.parse().ok()).unwrap_or_else(|| panic!("{name}: {text}"))
    }
}

fn command(words: &[&[u8]]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        bytes.extend(format!("${}\r\n", word.len()).bytes());
        bytes.extend(*word);
        bytes.extend(b"\r\n");
    }
    bytes
}

/// Bytes that do not repeat themselves soon.
fn value(length: usize, seed: usize) -> Vec<u8> {
    (0..length).map(|at| ((at * 7 + seed) >> 3) as u8).collect()
}

fn boot(append: &str) -> (Guest, SocketAddr, SocketAddr) {
    let machine = machine("keyval").memory_mib(64).network(user(&PORTS)).append(append);
    let mut guest = Guest::start(machine);
    let data = guest.endpoint(Protocol::Tcp, DATA);
    let administration = guest.endpoint(Protocol::Tcp, ADMINISTRATION);
    guest.endpoint(Protocol::Udp, DATA);
    (guest, data, administration)
}

/// Sets many keys in one go, as `redis-cli --pipe` does.
fn fill(client: &mut Client) {
    let mut writer = client.stream.try_clone().expect("another handle");
    let sender = std::thread::spawn(move || {
        for number in 0..KEYS {
            let key = format!("key:{number:08}");
            let set = command(&[b"SET", key.as_bytes(), &value(VALUE, number)]);
            writer.write_all(&set).expect("it takes everything");
        }
    });
    for _ in 0..KEYS {
        assert_eq!(client.line(), "+OK");
    }
    sender.join().expect("the sender");
}

#[test]
fn forty_thousand_keys_fit_64_mib_and_go_at_once() {
    let (guest, data, administration) = boot("");
    let (mut client, mut administrator) = (Client::new(data), Client::new(administration));
    fill(&mut client);
    assert_eq!(administrator.info("evicted_keys"), 0);
    assert_eq!(client.ask(&[b"DBSIZE"]), format!(":{KEYS}"));
    client.send(&[b"GET", b"key:00039999"]);
    assert_eq!(client.bulk(), value(VALUE, KEYS - 1));
    let used = administrator.info("used_memory");
    assert_eq!(client.ask(&[b"FLUSHALL"]), "+OK");
    assert_eq!(client.ask(&[b"DBSIZE"]), ":0");
    let left = administrator.info("used_memory");
    assert!(left < used / 20, "of {used} bytes {left} are left");
    guest.stop();
}

/// Eight megabytes go in and come out, to a client that takes its time, while others are answered.
#[test]
fn values_have_up_to_eight_megabytes() {
    let (guest, data, administration) = boot("");
    let (mut slow, mut client) = (Client::new(data), Client::new(data));
    let long = value(8 << 20, 5);
    assert_eq!(slow.ask(&[b"SET", b"long", &long]), "+OK");
    // Twice the memory that there is, were it copied.
    for _ in 0..8 {
        slow.send(&[b"GET", b"long"]);
    }
    assert_eq!(slow.line(), "$8388608");
    assert_eq!(client.ask(&[b"SET", b"long", b"short"]), "+OK");
    assert_eq!(client.ask(&[b"STRLEN", b"long"]), ":5");
    assert!(slow.rest_of_bulk(long.len()) == long, "what was being sent is sent as it was");
    for _ in 1..8 {
        let value = slow.bulk();
        assert!(value == long || value == b"short", "{} bytes", value.len());
    }
    let mut administrator = Client::new(administration);
    assert!(administrator.info("used_memory") < 1 << 20, "it is gone when it has been sent");
    guest.stop();
}

/// The limit is lowered while the server runs: keys make room, or writes are refused; what a peer lies about is
/// counted.
#[test]
fn the_administration_sets_the_limit_and_sees_what_happens() {
    let (guest, data, administration) = boot("policy=noeviction maxmemory=4194304");
    let (mut client, mut administrator) = (Client::new(data), Client::new(administration));
    let oom = "-OOM command not allowed when used memory > 'maxmemory'.";
    assert_eq!(client.ask(&[b"SET", b"long", &value(5 << 20, 1)]), oom);
    for number in 0..5_000 {
        let key = format!("key:{number}");
        assert_eq!(client.ask(&[b"SET", key.as_bytes(), &value(VALUE, number)]), "+OK");
    }
    assert_eq!(administrator.ask(&[b"CONFIG", b"SET", b"maxmemory", b"1mb"]), "+OK");
    assert_eq!(client.ask(&[b"SET", b"one more", b"value"]), oom);
    assert_eq!(client.ask(&[b"DBSIZE"]), ":5000");
    let policy = b"maxmemory-policy";
    assert_eq!(administrator.ask(&[b"CONFIG", b"SET", policy, b"allkeys-lru"]), "+OK");
    // The store has been told, at its own priority.
    while administrator.info("used_memory") > 1 << 20 {}
    assert_eq!(client.ask(&[b"SET", b"one more", b"value"]), "+OK");
    assert!(administrator.info("evicted_keys") > 1_000);
    let mut liar = Client::new(data);
    liar.stream.write_all(b"*2\r\n$3\r\nGET\r\n$-7\r\n").expect("it takes everything");
    assert_eq!(liar.line(), "-ERR Protocol error: invalid bulk length");
    assert_eq!(liar.line(), "", "the connection is closed");
    assert_eq!(administrator.info("protocol_errors"), 1);
    guest.stop();
}

/// A key is gone when its time is up, without being asked for; statistics come by UDP; the administration turns the
/// machine off.
#[test]
fn keys_expire_and_statistics_are_told() {
    let (guest, data, administration) = boot("");
    let statistics = guest.running.endpoint(Protocol::Udp, DATA).expect("it leads to the guest");
    let (mut client, mut administrator) = (Client::new(data), Client::new(administration));
    assert_eq!(client.ask(&[b"SET", b"a", b"1", b"PX", b"150"]), "+OK");
    assert_eq!(client.ask(&[b"SET", b"b", b"1", b"EX", b"3600"]), "+OK");
    while administrator.info("expired_keys") == 0 {}
    let socket = UdpSocket::bind("0.0.0.0:0").expect("a socket");
    socket.connect(statistics).expect("a peer");
    socket.set_read_timeout(Some(PATIENCE / 60)).expect("a time-out");
    // Datagrams may be lost.
    let told = (0..30).any(|_| {
        let mut answer = [0; 2_048];
        socket.send(b"?").expect("it goes out");
        let length = socket.recv(&mut answer).unwrap_or(0);
        let text = String::from_utf8_lossy(&answer[..length]);
        assert!(length <= 512 && (length == 0 || text.ends_with('\n')), "{text}");
        text.contains("keyval_keys 1\n") && text.contains("keyval_expired_total 1\n")
    });
    assert!(told, "nothing was told by UDP");
    administrator.send(&[b"METRICS"]);
    let metrics = String::from_utf8(administrator.bulk()).expect("text");
    assert!(metrics.contains("keyval_expiring_keys 1\n"), "{metrics}");
    assert!(metrics.contains("\nreflex_net_accepted_total 2\n"), "{metrics}");
    assert_eq!(administrator.ask(&[b"SHUTDOWN"]), "+OK");
    let outcome = guest.finish();
    assert!(outcome.status.success(), "{}\n{}", outcome.status, outcome.tail(30));
}
