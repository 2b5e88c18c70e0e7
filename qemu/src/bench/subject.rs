//! The systems that are compared, and one boot of one of them. Both get the same machine: the
//! only differences are the image and the kernel's command line.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::machine::{Icount, Machine, Model, Network, Offloads, Running, Tap};
use crate::peer::{Guest, Peer, Serve};
use crate::protocol::Protocol;

/// The page that both web servers have: 128 bytes.
pub(crate) const PAGE: &str = "/small.txt";

/// How long a guest may take until it serves.
pub(crate) const BOOT_LIMIT: Duration = Duration::from_secs(60);
/// No machine of a benchmark lives longer.
const LIFETIME: Duration = Duration::from_secs(900);

/// What a guest serves in a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Service {
    /// A page over HTTP.
    Http,
    /// TCP echo.
    Echo,
}

impl Service {
    /// The application of ours that serves it.
    pub(crate) fn application(self) -> &'static str {
        Serves::from(self).application
    }

    /// The TCP port it is served on.
    pub(crate) fn port(self) -> u16 {
        Serves::from(self).port
    }
}

/// What both systems run, and the TCP port on which they serve.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Serves {
    pub(crate) application: &'static str,
    pub(crate) linux: Serve,
    pub(crate) port: u16,
}

impl From<Service> for Serves {
    fn from(service: Service) -> Self {
        match service {
            Service::Http => Self { application: "httpd", linux: Serve::Nginx, port: 80 },
            Service::Echo => Self { application: "echo", linux: Serve::Echo, port: 7 },
        }
    }
}

/// One of the systems compared.
#[derive(Clone, Debug)]
pub(crate) enum Subject {
    /// Our image.
    Reflex(PathBuf),
    /// The Linux peer.
    Linux(Peer),
}

/// What both get.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    /// The machine.
    pub(crate) model: Model,
    /// Memory in MiB.
    pub(crate) memory_mib: u32,
    /// Further words of our image's command line.
    pub(crate) append: &'static str,
    /// Whether instructions are counted; the guest then also reports its busy time.
    pub(crate) icount: Option<Icount>,
}

impl Subject {
    /// As the figures name it.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Reflex(_) => "reflex",
            Self::Linux(_) => "linux",
        }
    }

    /// The machine that boots it, without a network.
    pub(crate) fn machine(&self, serves: impl Into<Serves>, settings: Settings) -> Machine {
        let serves = serves.into();
        let report_busy = settings.icount.is_some();
        let machine = match self {
            Self::Reflex(image) => {
                let machine = Machine::new(image).model(settings.model).append(settings.append);
                if report_busy { machine.append("busy=1000") } else { machine }
            }
            Self::Linux(peer) => {
                let timeout = LIFETIME.as_secs() as u32;
                Guest { serve: serves.linux, model: settings.model, timeout, report_busy }
                    .machine(peer)
            }
        };
        let machine = machine.memory_mib(settings.memory_mib).timeout(LIFETIME);
        match settings.icount {
            Some(icount) => machine.icount(icount),
            None => machine,
        }
    }

    /// Boots it on a tap of its own, without offloads, until it serves.
    pub(crate) fn boot(&self, serves: impl Into<Serves>, settings: Settings) -> Result<Booted> {
        let serves = serves.into();
        let tap = Tap::fresh(Offloads::Withheld)?;
        let address = guest_address(&tap)?;
        let machine = self.machine(serves, settings).network(Network::Tap(tap));
        let command = command(&machine);
        let mut running = machine.spawn()?;
        running.wait_for_listen(Protocol::Tcp, serves.port, BOOT_LIMIT)?;
        Ok(Booted { running, address: (address, serves.port).into(), command })
    }
}

/// A guest that serves.
pub(crate) struct Booted {
    /// The machine.
    pub(crate) running: Running,
    /// Where it serves.
    pub(crate) address: SocketAddr,
    /// QEMU's command line.
    pub(crate) command: String,
}

/// The guest's address on a tap made by this process.
pub(crate) fn guest_address(tap: &Tap) -> Result<Ipv4Addr> {
    tap.guest().context("the tap device has no address for a guest")
}

/// QEMU's command line as a person would read it.
pub(crate) fn command(machine: &Machine) -> String {
    let mut text = crate::machine::QEMU.to_owned();
    for argument in machine.arguments() {
        let argument = argument.to_string_lossy();
        text.push(' ');
        if argument.contains(' ') {
            text.push_str(&format!("'{argument}'"));
        } else {
            text.push_str(&argument);
        }
    }
    text
}
