//! Plays a script to a host in virtual time.

use super::application::Application;
use super::language::{Options, Script, Step, What, When};
use super::names::{self, GATEWAY_MAC};
use super::numbers::{Numbers, Side, stream};
use super::packet::{Packet, Value};
use super::{build, describe};
use crate::common::Host;
use crate::common::raw::{MAC, PEER, arp};
use reflex_event::{Context, Instant};
use reflex_net::{Address, Config, ConflictDetection, Connector, Counters, UdpSocket};
use reflex_testkit::{Clock, SimKernel, Trace};
use std::collections::VecDeque;
use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr, SocketAddrV4};
use std::time::Duration;

/// How far from its time a packet may leave: what time on the wire adds up to.
const TOLERANCE: Duration = Duration::from_millis(2);
/// How long is waited for what is sent at any time.
const EVER: Duration = Duration::from_secs(600);

/// The stations that are known to the host, and where.
const NEIGHBOURS: [([u8; 6], Ipv4Addr); 2] = [(MAC, PEER), (GATEWAY_MAC, names::GATEWAY)];

/// A script in play.
pub(super) struct Runner {
    clock: Clock,
    seed: u64,
    config: Vec<(String, String)>,
    host: Option<Host>,
    application: Option<Context<Application>>,
    connector: Option<Connector<SimKernel>>,
    socket: Option<UdpSocket<SimKernel>>,
    told: Trace,
    /// The peer and the gateway are known, and answer when they are asked for; of ARP the script sees
    /// nothing.
    neighbourly: bool,
    numbers: Numbers,
    /// Sent, and not yet expected.
    pending: VecDeque<(Instant, Packet)>,
    /// Everything so far, for a reader.
    log: String,
    begin: Instant,
    /// When the last step was done.
    last: Instant,
    before: Counters,
    got: usize,
}

/// Plays a script, with what is random drawn from `seed` and the peer's first sequence number given.
pub(super) fn run(script: &Script, seed: u64, peer: u32) -> Result<(), String> {
    let mut runner = Runner::new(seed, peer);
    for step in &script.steps {
        runner.step(step).map_err(|why| runner.report(step, &why))?;
    }
    let Some(last) = script.steps.last() else { return Ok(()) };
    runner.nothing_pending().map_err(|why| runner.report(last, &why))
}

impl Runner {
    fn new(seed: u64, peer: u32) -> Self {
        let clock = Clock::default();
        let begin = Instant::from_nanos(1_000_000_000);
        clock.set(begin);
        Self {
            clock,
            seed,
            config: Vec::new(),
            host: None,
            application: None,
            connector: None,
            socket: None,
            told: Trace::default(),
            neighbourly: true,
            numbers: Numbers::new(peer),
            pending: VecDeque::new(),
            log: String::new(),
            begin,
            last: begin,
            before: Counters::default(),
            got: 0,
        }
    }

    fn report(&self, step: &Step, why: &str) -> String {
        let Self { log, seed, .. } = self;
        let peer = self.numbers.theirs();
        format!(
            "line {}: {}\n  {why}\nso far (seconds, direction):\n{log}seed {seed}, the peer's first \
             number {peer} (REFLEX_SEED={seed} repeats it)",
            step.line, step.text
        )
    }

    fn step(&mut self, step: &Step) -> Result<(), String> {
        if let What::Config(name, value) = &step.what {
            self.config.push((name.clone(), value.clone()));
            return Ok(());
        }
        if self.host.is_none() {
            self.make_host()?;
        }
        if let What::Out(expected) = &step.what {
            return self.expect(expected, step.when);
        }
        self.nothing_pending()?;
        if let When::After(time) = step.when {
            self.pass_until(self.last + time, false);
            self.nothing_pending()?;
        }
        self.act(&step.what)?;
        self.collect();
        self.last = self.clock.now();
        Ok(())
    }

    fn act(&mut self, what: &What) -> Result<(), String> {
        match what {
            What::Config(..) | What::Out(_) => Ok(()),
            What::In(packet) => self.arrives(packet),
            What::Listen(port, options) => self.listen(*port, options),
            What::Connect(port, options) => self.connect(*port, options),
            What::Open(port) => self.open(*port),
            What::Emit(packet) => self.emit(packet),
            What::Send(count) => self.call(|app, connection| app.send(connection, *count)),
            What::Close => self.call(|_, connection| connection.finish()),
            What::Abort => self.call(|_, connection| connection.abort()),
            What::Read(count) => {
                let mut read = 0;
                self.call(|app, connection| read = app.read(connection, *count))?;
                if read == *count { Ok(()) } else { Err(format!("there were {read} bytes")) }
            }
            What::Told(expected) => {
                let told = self.told.take();
                if told == *expected { Ok(()) } else { Err(format!("told: {}", told.join(" "))) }
            }
            What::Got(count) => self.got(*count),
            What::State(expected) => {
                let state = self.state(|app| app.state.map(|state| state.to_string()))?;
                let state = state.unwrap_or("CLOSED".to_owned());
                if state == *expected { Ok(()) } else { Err(format!("the state is {state}")) }
            }
            What::Count(name, expected) => self.count(name, *expected),
            What::Quiet(time) => {
                self.pass_until(self.clock.now() + *time, false);
                self.nothing_pending()
            }
        }
    }

    fn host(&self) -> Result<&Host, String> {
        self.host.as_ref().ok_or_else(|| "there is no host yet".to_owned())
    }

    fn make_host(&mut self) -> Result<(), String> {
        let mut nonsense = None;
        let settings = &self.config;
        let host = Host::with(&self.clock, 1, self.seed, 256, |config| {
            for (name, value) in settings {
                if !configure(config, name, value) {
                    nonsense = Some(format!("{name} {value} is no parameter"));
                }
            }
        });
        if let Some(nonsense) = nonsense {
            return Err(nonsense);
        }
        let links = ["strangers", "dad", "dhcp"];
        self.neighbourly = !settings.iter().any(|(name, _)| links.contains(&name.as_str()));
        if self.neighbourly {
            for (mac, address) in NEIGHBOURS {
                host.inject(&arp([0xff; 6], 1, (mac, address), ([0; 6], host.address)));
                host.kernel.run_until_idle();
            }
        }
        if self.neighbourly || settings.iter().any(|(name, _)| name == "strangers") {
            // Announcements, and a look for the gateway.
            host.sent(&self.clock);
        }
        self.before = host.net.counters();
        let application = Application::new(&self.told);
        self.application = Some(host.kernel.context(application, 4 << 20));
        self.host = Some(host);
        self.collect();
        self.begin = self.clock.now();
        self.last = self.begin;
        Ok(())
    }

    fn state<R>(&self, look: impl FnOnce(&mut Application) -> R) -> Result<R, String> {
        let application = self.application.ok_or("there is no application yet")?;
        Ok(self.host()?.kernel.state(application, look))
    }

    /// Has the application do something with its connection.
    fn call(
        &mut self,
        call: impl FnOnce(&mut Application, &crate::common::SimConnection),
    ) -> Result<(), String> {
        self.state(|app| {
            let connection = app.last.clone().ok_or("there is no connection yet")?;
            call(app, &connection);
            Ok::<_, String>(())
        })??;
        self.host()?.kernel.run_until_idle();
        Ok(())
    }

    fn arrives(&mut self, packet: &Packet) -> Result<(), String> {
        let frame = build::frame(packet, &self.numbers)?;
        self.note('<', &packet.to_string());
        let host = self.host()?;
        host.inject(&frame);
        host.kernel.run_until_idle();
        Ok(())
    }

    fn listen(&mut self, port: u16, options: &Options) -> Result<(), String> {
        let context = self.application.ok_or("there is no application yet")?;
        self.state(|app| app.deaf |= options.deaf)?;
        let mut listen = self.host()?.net.listen(port);
        listen = listen.connections(options.connections.unwrap_or(8));
        listen = listen.buffers(options.receive.unwrap_or(4096), options.send.unwrap_or(8192));
        if let Some(backlog) = options.backlog {
            listen = listen.backlog(backlog);
        }
        if let Some(seconds) = options.keep_alive {
            listen = listen.keep_alive(Duration::from_secs(seconds));
        }
        if let Some(seconds) = options.idle {
            listen = listen.timeout(Duration::from_secs(seconds));
        }
        listen.serve(context).map(drop).map_err(|error| error.to_string())
    }

    fn connect(&mut self, port: u16, options: &Options) -> Result<(), String> {
        let context = self.application.ok_or("there is no application yet")?;
        self.state(|app| app.deaf |= options.deaf)?;
        let connector = match self.connector.take() {
            Some(connector) => connector,
            None => {
                let connector = self.host()?.net.connector();
                let connector = connector.connections(options.connections.unwrap_or(8));
                let receive = options.receive.unwrap_or(4096);
                let connector = connector.buffers(receive, options.send.unwrap_or(8192));
                connector.serve(context).map_err(|error| error.to_string())?
            }
        };
        let connection = connector.connect(SocketAddrV4::new(PEER, port));
        self.connector = Some(connector);
        let connection = connection.map_err(|error| error.to_string())?;
        self.state(|app| app.last = Some(connection))?;
        self.host()?.kernel.run_until_idle();
        Ok(())
    }

    fn open(&mut self, port: u16) -> Result<(), String> {
        let context = self.application.ok_or("there is no application yet")?;
        let socket = self.host()?.net.udp(port).serve(context);
        self.socket = Some(socket.map_err(|error| error.to_string())?);
        Ok(())
    }

    fn emit(&mut self, packet: &Packet) -> Result<(), String> {
        let socket = self.socket.as_ref().ok_or("there is no socket yet")?;
        let to = match packet.get("to") {
            Some(Value::Address(IpAddr::V4(address))) => *address,
            _ => PEER,
        };
        let port = packet.number("dport").unwrap_or(0) as u16;
        let length = packet.number("len").unwrap_or(0);
        let payload: Vec<u8> = (0..length).map(|at| stream(Side::Us, at)).collect();
        let sent = socket.send_to(&payload, SocketAddrV4::new(to, port));
        sent.map_err(|error| error.to_string())?;
        self.host()?.kernel.run_until_idle();
        Ok(())
    }

    fn got(&mut self, count: usize) -> Result<(), String> {
        let (received, wrong) = self.state(|app| (app.received, app.wrong))?;
        if let Some(at) = wrong {
            return Err(format!("the byte at {at} is wrong"));
        }
        let got = received.saturating_sub(self.got);
        self.got = received;
        if got == count { Ok(()) } else { Err(format!("{got} bytes")) }
    }

    fn count(&mut self, name: &str, expected: u64) -> Result<(), String> {
        let value = |counters: &Counters| {
            let text = format!("{counters:?}");
            let (_, rest) = text.split_once(&format!(" {name}: "))?;
            rest.split([',', ' ']).next()?.parse::<u64>().ok()
        };
        let now = value(&self.host()?.net.counters());
        let now = now.ok_or_else(|| format!("nothing is counted as {name:?}"))?;
        let more = now - value(&self.before).unwrap_or(0);
        if more == expected { Ok(()) } else { Err(format!("{name} is {more}")) }
    }

    /// The next packet that is sent is the expected one, and it is time for it.
    fn expect(&mut self, expected: &Packet, when: When) -> Result<(), String> {
        let (least, most) = match when {
            When::Now => (Duration::ZERO, Duration::ZERO),
            When::After(time) => (time.saturating_sub(TOLERANCE), time + TOLERANCE),
            When::Within(least, most) => (least, most),
            When::Ever => (Duration::ZERO, EVER),
        };
        if self.pending.is_empty() && most > Duration::ZERO {
            self.pass_until(self.last + most, true);
        }
        let Some((at, actual)) = self.pending.pop_front() else {
            return Err(format!("expected: {expected}\n  nothing was sent"));
        };
        if let Some(why) = expected.mismatch(&actual) {
            return Err(format!("expected: {expected}\n  came: {actual}\n  {why}"));
        }
        if at + TOLERANCE < self.last + least {
            let early = at.since(self.last);
            return Err(format!("too early, after {early:?}: {actual}"));
        }
        self.last = self.last.max(at);
        Ok(())
    }

    fn nothing_pending(&mut self) -> Result<(), String> {
        match self.pending.front() {
            None => Ok(()),
            Some((_, packet)) => Err(format!("nothing was expected\n  came: {packet}")),
        }
    }

    /// Lets time pass, until something is sent if `stop`.
    fn pass_until(&mut self, end: Instant, stop: bool) {
        loop {
            let Some(host) = &self.host else { return };
            let due = host.kernel.next_timer().filter(|due| *due <= end);
            let Some(due) = due else { break };
            self.clock.set(due.max(self.clock.now()));
            host.kernel.fire_timers();
            host.kernel.run_until_idle();
            self.collect();
            if stop && !self.pending.is_empty() {
                return;
            }
        }
        self.clock.set(end.max(self.clock.now()));
    }

    /// Takes what has been sent.
    fn collect(&mut self) {
        let now = self.clock.now();
        let Some(host) = &self.host else { return };
        let mut frames = VecDeque::from(host.sent(&self.clock));
        while let Some(frame) = frames.pop_front() {
            if self.neighbourly && frame[12..14] == [8, 6] {
                frames.extend(host.answer_arp(&frame, &self.clock));
                continue;
            }
            let packet = describe::frame(&frame, &mut self.numbers);
            let at = self.clock.now().since(self.begin).as_secs_f64();
            let _ = writeln!(self.log, "  {at:10.4} > {packet}");
            self.pending.push_back((now, packet));
        }
    }

    fn note(&mut self, direction: char, what: &str) {
        let at = self.clock.now().since(self.begin).as_secs_f64();
        let _ = writeln!(self.log, "  {at:10.4} {direction} {what}");
    }
}

impl Host {
    /// Answers a question for one of the neighbours: what is sent then.
    fn answer_arp(&self, frame: &[u8], clock: &Clock) -> Vec<Vec<u8>> {
        let asked = NEIGHBOURS.iter().find(|(_, address)| frame[38..42] == address.octets());
        match asked.filter(|_| frame[21] == 1) {
            Some((mac, address)) => {
                let answer = arp(self.mac, 2, (*mac, *address), (self.mac, self.address));
                self.exchange(clock, &answer)
            }
            None => Vec::new(),
        }
    }
}

/// Sets a parameter of the host; false when there is none of that name, or it cannot be that.
fn configure(config: &mut Config, name: &str, value: &str) -> bool {
    let Address::Static { address, prefix, gateway } = &mut config.address else { return false };
    match (name, value) {
        ("dhcp", "") => config.address = Address::Dhcp,
        ("strangers", "") => *gateway = None,
        ("dad", "") => config.conflict_detection = ConflictDetection::On,
        ("gateway", "none") => *gateway = None,
        ("prefix", bits) => match bits.parse() {
            Ok(bits) => *prefix = bits,
            Err(_) => return false,
        },
        ("gateway", other) => match names::address(other) {
            Some(IpAddr::V4(other)) => *gateway = Some(other),
            _ => return false,
        },
        ("address", other) => match other.parse() {
            Ok(other) => *address = other,
            Err(_) => return false,
        },
        ("replies", count) => match count.parse() {
            Ok(count) => config.replies_per_second = count,
            Err(_) => return false,
        },
        _ => return false,
    }
    true
}
