//! Starting the network: the library OS's stack over the machine's interface.

use crate::net::Net;
use crate::{Error, EventError, System};
use alloc::boxed::Box;
use core::net::Ipv4Addr;
use reflex_boot::command_line::Addressing;
use reflex_boot::devices::{self, Lines, Nic, NicError, Quiet};
use reflex_boot::machine_line;
use reflex_event::{EventSystem as _, Priority};
use reflex_hil::{Receive, Transmit};
use reflex_memory::{Content, Granule, Pool};
use reflex_net::{
    Address, Config, ConflictDetection, InterfaceAddress, Loopback, Stack, Transport,
};
use reflex_runtime::{ContextOptions, Origin, Runtime, memory};

/// The priority of the stack's own work.
const PRIORITY: Priority = Priority::DEFAULT;
/// The part of the free memory that is the stack context's event memory, where each connection
/// has a handler of some 100 bytes.
const STACK_SHARE: usize = 64;
/// Bytes of it at least.
const LEAST_STACK_MEMORY: usize = 16 << 10;

/// Most and fewest bytes for packets in fragments: three of the longest; two of four full frames each. And the units in
/// which it is given out.
const MOST_FRAGMENTS: usize = 256 << 10;
const LEAST_FRAGMENTS: usize = 20 << 10;
const FRAGMENT_GRANULE: usize = 2048;

/// Frames that are on their way from the image to itself, at most.
const LOOPED_FRAMES: usize = 64;
/// The address of an image that has the loopback and no interface.
const ALONE: Address = Address::Static { address: Ipv4Addr::LOCALHOST, prefix: 8, gateway: None };

/// Starts the stack over the machine's first interface.
pub(crate) fn start(system: System) -> Result<Net, Error> {
    let kernel = system.kernel();
    let loopback = if system.has_loopback() { Some(loopback()?) } else { None };
    let nic = match devices::network(system.machine()) {
        Err(NicError::None) if loopback.is_some() => None,
        found => Some(found.map_err(Error::Interface)?),
    };
    let config = Config {
        address6: system.machine().arguments.ip6,
        gateway6: system.machine().arguments.gw6,
        conflict_detection: match system.machine().arguments.dad {
            true => ConflictDetection::On,
            false => ConflictDetection::Off,
        },
        conflict: Some(|conflict| log::warn!("{conflict}")),
        frames: nic.as_ref().map_or(LOOPED_FRAMES as u32, |nic| nic.spare_frames),
        fragments: fragments(),
        loopback: loopback.is_some(),
        opened: Some(|transport, port| match transport {
            Transport::Tcp => machine_line!("listen tcp {port}"),
            Transport::Udp => machine_line!("listen udp {port}"),
        }),
        ..Config::new(if nic.is_some() { address(system) } else { ALONE })
    };
    let (net, context) = stack(kernel, &config, nic, loopback)?;
    let told = net.clone();
    net.on_address(context, PRIORITY, move |_, address| announce(&told, address))?;
    Ok(Net(net, kernel))
}

/// Memory in which packets are put together that come in fragments; none where there is little.
fn fragments() -> Option<&'static Pool> {
    let bytes = (memory::available() / STACK_SHARE).min(MOST_FRAGMENTS);
    let granule = Granule::new(FRAGMENT_GRANULE)?;
    let enough = bytes >= LEAST_FRAGMENTS;
    enough.then(|| memory::pool(bytes, granule, Content::Bytes).ok()).flatten()
}

/// Where the packets of the image to itself go round.
fn loopback() -> Result<Loopback, Error> {
    let granule = Granule::new(FRAGMENT_GRANULE).ok_or(EventError::OutOfMemory)?;
    // One more for the pool's table.
    let bytes = (LOOPED_FRAMES + 1) * FRAGMENT_GRANULE;
    Ok(Loopback::new(memory::pool(bytes, granule, Content::Bytes)?))
}

/// Makes the stack's context, and has the interface's interrupts activate it.
fn stack(
    kernel: Runtime,
    config: &Config,
    nic: Option<Nic>,
    loopback: Option<Loopback>,
) -> Result<(reflex_net::Net<Runtime>, reflex_event::Context<Stack<Runtime>>), Error> {
    let (halves, lines) = halves(nic, loopback.as_ref())?;
    let (net, stack) = reflex_net::Net::new(kernel, halves.0, halves.1, config);
    let memory = (memory::available() / STACK_SHARE).max(LEAST_STACK_MEMORY);
    let origin = Origin::System;
    let options = ContextOptions { memory, origin, ..ContextOptions::new("net") };
    let context = kernel.context(options, stack)?;
    let interrupts = net.start(context, PRIORITY)?;
    if let Some((lines, quiet)) = lines {
        lines.connect(kernel, quiet, interrupts.received, interrupts.sent)?;
    }
    if let Some(loopback) = loopback {
        loopback.wake_by(move || {
            // Refused only when four billion wait.
            let _ = kernel.activate(interrupts.received, 1);
        });
    }
    Ok((net, context))
}

/// What the stack receives by and sends by.
type Halves = (Box<dyn Receive>, Box<dyn Transmit>);

/// The interface's halves, with the loopback in front of them where there is one, and its interrupts.
fn halves(
    nic: Option<Nic>,
    loopback: Option<&Loopback>,
) -> Result<(Halves, Option<(Lines, Quiet)>), Error> {
    let Some(nic) = nic else {
        let alone = loopback.ok_or(Error::Interface(NicError::None))?.alone();
        return Ok((alone, None));
    };
    let (receiver, transmitter, lines) = nic.split();
    let quiet = receiver.quiet();
    let device: Halves = (Box::new(receiver), Box::new(transmitter));
    let halves = match loopback {
        Some(loopback) => loopback.around(device.0, device.1),
        None => device,
    };
    Ok((halves, Some((lines, quiet))))
}

fn address(system: System) -> Address {
    match system.machine().arguments.addressing {
        Addressing::Dhcp => Address::Dhcp,
        Addressing::Static { address, prefix, gateway } => {
            Address::Static { address, prefix, gateway }
        }
    }
}

fn announce(net: &reflex_net::Net<Runtime>, address: Option<InterfaceAddress>) {
    match address {
        Some(InterfaceAddress { address, prefix, gateway }) => {
            match gateway {
                Some(gateway) => log::info!("address {address}/{prefix}, gateway {gateway}"),
                None => log::info!("address {address}/{prefix}"),
            }
            let said = net.parameters();
            for server in said.iter().flat_map(|said| said.name_servers).flatten() {
                log::info!("name server {server}");
            }
            machine_line!("address {address}/{prefix}");
        }
        None => log::warn!("the interface has no address any more"),
    }
}
