//! Starting the network: the library OS's stack over the machine's interface.

use crate::net::Net;
use crate::{Error, System};
use alloc::boxed::Box;
use reflex_boot::command_line::Addressing;
use reflex_boot::devices::{self, Nic};
use reflex_boot::machine_line;
use reflex_event::Priority;
use reflex_memory::{Content, Granule, Pool};
use reflex_net::{Address, Config, ConflictDetection, InterfaceAddress, Stack, Transport};
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

/// Starts the stack over the machine's first interface.
pub(crate) fn start(system: System) -> Result<Net, Error> {
    let kernel = system.kernel();
    let nic = devices::network(system.machine()).map_err(Error::Interface)?;
    let config = Config {
        address6: system.machine().arguments.ip6,
        gateway6: system.machine().arguments.gw6,
        conflict_detection: match system.machine().arguments.dad {
            true => ConflictDetection::On,
            false => ConflictDetection::Off,
        },
        conflict: Some(|conflict| log::warn!("{conflict}")),
        frames: nic.spare_frames,
        fragments: fragments(),
        opened: Some(|transport, port| match transport {
            Transport::Tcp => machine_line!("listen tcp {port}"),
            Transport::Udp => machine_line!("listen udp {port}"),
        }),
        ..Config::new(address(system))
    };
    let (net, context) = stack(kernel, &config, nic)?;
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

/// Makes the stack's context, and has the interface's interrupts activate it.
fn stack(
    kernel: Runtime,
    config: &Config,
    nic: Nic,
) -> Result<(reflex_net::Net<Runtime>, reflex_event::Context<Stack<Runtime>>), Error> {
    let (receiver, transmitter, lines) = nic.split();
    let quiet = receiver.quiet();
    let (net, stack) =
        reflex_net::Net::new(kernel, Box::new(receiver), Box::new(transmitter), config);
    let memory = (memory::available() / STACK_SHARE).max(LEAST_STACK_MEMORY);
    let origin = Origin::System;
    let options = ContextOptions { memory, origin, ..ContextOptions::new("net") };
    let context = kernel.context(options, stack)?;
    let interrupts = net.start(context, PRIORITY)?;
    lines.connect(kernel, quiet, interrupts.received, interrupts.sent)?;
    Ok((net, context))
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
