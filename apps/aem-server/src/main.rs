//! The AEM document's example of an event-driven server (2.1.3): it accepts asynchronously, and is
//! kept alive. Here its handler goes on to register for what occurs on the new socket.
//!
//! A client is greeted, and what it sends comes back, until it closes or says `quit`.
//!
//! Keys of the kernel command line: `sessions=N`, after how many the server ends; `bare`, with which it
//! leaves the closing of sockets to the system.
#![no_std]
#![no_main]

use reflex::net::ConnectionError;
use reflex::{Activation, Argument, ContextId, Error, EventError, System, println, status};
use reflex_aem::{
    Listening, Socket, SocketState, TcpState, enter_keepalive, leave_keepalive, sockasync_accept,
    sockasync_close, sockasync_read, sockasync_sk, sockasync_sock,
};

const SERVER_PORT: u16 = 7;
const CONNECTIONS: u32 = 64;
/// Event memory for a connection: its socket and handlers.
const MEMORY_PER_CONNECTION: usize = 2 << 10;

struct Server {
    system: System,
    /// The context to tell that the server has served enough.
    main: ContextId,
    /// After how many sessions it has, if ever.
    sessions: Option<usize>,
    /// Sockets close when their peers do.
    bare: bool,
}

const SESSIONS: Argument =
    Argument::number("sessions", 1..=usize::MAX, "ends after so many").usually("never");
const BARE: Argument = Argument::flag("bare", "sockets close when their peers do");

#[reflex::main(arguments = &[SESSIONS, BARE])]
fn main(system: System) -> Result<(), Error> {
    let main = system.running().ok_or(EventError::Busy)?;
    let sessions = system.number(SESSIONS);
    let memory = CONNECTIONS as usize * MEMORY_PER_CONNECTION + (64 << 10);
    let bare = system.flag(BARE);
    let server = Server { system, main, sessions, bare };
    let server = system.context("server", server).memory(memory).build()?;

    let sfd = system.tcp(SERVER_PORT).backlog(5).connections(CONNECTIONS);
    // Event registration for accept: returns at once.
    sockasync_accept(system, sfd, server, None, Server::accepted)?;

    enter_keepalive(system)?;
    let served = system.contexts().find(|context| context.id == server.id());
    let events = served.map_or(0, |context| context.registrations);
    println!("leaving keepalive; the server has {events} events");
    system.exit(status::SUCCESS)
}

impl Server {
    /// Executed upon connection.
    fn accepted(&mut self, _: Activation, old: &Listening, new: Option<&Socket<Self>>) {
        // There is one unless a time-out was set.
        let Some(new) = new else { return };
        println!("{}: accepted at port {}", new.slot(), old.port());
        if let Err(error) = self.serve(new) {
            println!("{}: {error}", new.slot());
            new.abort();
        }
    }

    fn serve(&self, new: &Socket<Self>) -> Result<(), Error> {
        sockasync_sock(new, None, Self::became)?;
        sockasync_read(new, None, Self::readable)?;
        if !self.bare {
            sockasync_sk(new, None, Self::went_to)?;
            sockasync_close(new, None, Self::closing)?;
        }
        new.send(b"welcome\n")?;
        Ok(())
    }

    fn readable(&mut self, _: Activation, socket: &Socket<Self>) {
        let mut block = [0; 512];
        let mut quit = false;
        let mut echo = |bytes: &[u8], room: &mut [u8]| {
            let length = bytes.len().min(room.len());
            room[..length].copy_from_slice(&bytes[..length]);
            quit |= bytes.starts_with(b"quit");
            println!("{}: read {length} bytes", socket.slot());
            (length, length)
        };
        // A connection that is over has nothing to echo.
        while socket.exchange(&mut block, &mut echo).is_ok_and(|echoed| echoed.goes_on()) {}
        if quit {
            socket.finish();
        }
    }

    fn closing(&mut self, _: Activation, socket: &Socket<Self>, error: Option<ConnectionError>) {
        match error {
            None => println!("{}: closes", socket.slot()),
            Some(error) => println!("{}: closes: {error}", socket.slot()),
        }
        socket.finish();
    }

    fn went_to(&mut self, _: Activation, socket: &Socket<Self>, state: TcpState) {
        println!("{}: {state}", socket.slot());
    }

    fn became(&mut self, _: Activation, socket: &Socket<Self>, state: SocketState) {
        println!("{}: {state}", socket.slot());
        if let (SocketState::Closed(_), Some(left)) = (state, &mut self.sessions) {
            *left -= 1;
            if *left == 0 {
                leave_keepalive(self.system, self.main).expect("`main` is kept alive");
            }
        }
    }
}
