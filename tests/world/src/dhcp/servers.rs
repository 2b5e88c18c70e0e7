//! Servers: where the programs are, and how each is told the same.

use crate::place::{Place, Program};
use crate::programs::Programs;
use std::fs;
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::Command;

/// Where the packages are unpacked, in the cache.
const FOLDER: &str = "dhcp-servers";
const PACKAGES: [&str; 4] =
    ["dnsmasq-base", "isc-dhcp-server", "isc-dhcp-relay", "kea-dhcp4-server"];

/// A server's program.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Server {
    Isc,
    Kea,
    Dnsmasq,
}

/// The network that all servers are told of.
pub(crate) const fn ip(last: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 77, 9, last)
}

pub(crate) const ROUTER: Ipv4Addr = ip(1);
pub(crate) const OTHER_ROUTER: Ipv4Addr = ip(3);
pub(crate) const MTU: u16 = 1400;
pub(crate) const DOMAIN: &str = "example.org";
/// Seconds of a lease: dnsmasq gives none that is shorter than two minutes.
pub(crate) const SECONDS: u32 = 300;

/// The programs, if they can be had.
pub(crate) fn programs() -> Option<Programs> {
    Programs::of(FOLDER, &PACKAGES)
}

/// What a server is told.
pub(crate) struct Config<'a> {
    pub(crate) interface: &'a str,
    /// The first and last of the addresses it gives.
    pub(crate) pool: (u8, u8),
    /// Where it keeps its files.
    pub(crate) folder: &'a Path,
}

impl Server {
    /// What it says when it has begun to serve.
    pub(crate) fn ready(self) -> &'static str {
        match self {
            Server::Isc => "Server starting service",
            Server::Kea => "DHCP4_STARTED",
            Server::Dnsmasq => "DHCP, IP range",
        }
    }

    pub(crate) fn start(self, programs: &Programs, place: &Place, config: &Config<'_>) -> Program {
        let command = match self {
            Server::Isc => isc(programs, config),
            Server::Kea => kea(programs, config),
            Server::Dnsmasq => dnsmasq(programs, config),
        };
        place.start(command, config.folder, &format!("{self:?}-{}", config.pool.0))
    }
}

/// The words in which dhcpd says what there is to know.
pub(crate) fn isc_options() -> String {
    format!(
        "option subnet-mask 255.255.255.0; option routers {ROUTER}, {OTHER_ROUTER};\n\
         option domain-name-servers {ROUTER}; option domain-name \"{DOMAIN}\";\n\
         option interface-mtu {MTU};\n"
    )
}

/// dhcpd, told by this file.
pub(crate) fn isc_with(programs: &Programs, config: &Config<'_>, text: &str) -> Command {
    let file = |name: &str| config.folder.join(format!("{name}-{}", config.pool.0));
    let (text_file, leases) = (file("dhcpd.conf"), file("dhcpd.leases"));
    fs::write(&text_file, text).expect("a file");
    fs::write(&leases, "").expect("a file");
    let mut command = programs.command("dhcpd");
    command.args(["-4", "-f", "-d", "-cf"]).arg(text_file).arg("-lf").arg(leases);
    command.arg("-pf").arg(file("dhcpd.pid")).arg(config.interface);
    command
}

fn isc(programs: &Programs, config: &Config<'_>) -> Command {
    let (first, last) = config.pool;
    let text = format!(
        "authoritative; ping-check false; default-lease-time {SECONDS}; max-lease-time {SECONDS};\n\
         option classless code 121 = array of integer 8;\n\
         subnet 10.77.9.0 netmask 255.255.255.0 {{\n range {} {};\n{}\
         option classless 0, 10, 77, 9, 1, 24, 192, 0, 2, 10, 77, 9, 9;\n}}\n",
        ip(first),
        ip(last),
        isc_options()
    );
    isc_with(programs, config, &text)
}

fn kea(programs: &Programs, config: &Config<'_>) -> Command {
    let (first, last) = config.pool;
    let option = |name: &str, data: &str| format!("{{\"name\": \"{name}\", \"data\": \"{data}\"}}");
    let options = [
        option("routers", &format!("{ROUTER}, {OTHER_ROUTER}")),
        option("domain-name-servers", &ROUTER.to_string()),
        option("domain-name", DOMAIN),
        option("interface-mtu", &MTU.to_string()),
        "{\"code\": 121, \"csv-format\": false, \"data\": \"000A4D090118C000020A4D0909\"}".into(),
    ];
    let text = format!(
        "{{\"Dhcp4\": {{\"interfaces-config\": {{\"interfaces\": [\"{}\"]}},\n\
         \"lease-database\": {{\"type\": \"memfile\", \"persist\": false}},\n\
         \"authoritative\": true, \"valid-lifetime\": {SECONDS},\n\
         \"subnet4\": [{{\"id\": 1, \"subnet\": \"10.77.9.0/24\",\n\
         \"pools\": [{{\"pool\": \"{} - {}\"}}],\n\"option-data\": [{}]}}],\n\
         \"loggers\": [{{\"name\": \"kea-dhcp4\", \"severity\": \"INFO\",\n\
         \"output_options\": [{{\"output\": \"stdout\"}}]}}]}}}}\n",
        config.interface,
        ip(first),
        ip(last),
        options.join(",\n")
    );
    let file = config.folder.join(format!("kea-{first}.json"));
    fs::write(&file, text).expect("a file");
    let mut command = programs.command("kea-dhcp4");
    command.arg("-c").arg(file);
    command.env("KEA_PIDFILE_DIR", config.folder).env("KEA_LOCKFILE_DIR", "none");
    command
}

fn dnsmasq(programs: &Programs, config: &Config<'_>) -> Command {
    let (first, last) = config.pool;
    let leases = config.folder.join(format!("dnsmasq-{first}.leases"));
    let mut command = programs.command("dnsmasq");
    command.args(["--no-daemon", "--log-dhcp", "--conf-file=/dev/null", "--port=0", "--no-ping"]);
    command.args(["--user=root", "--group=root", "--dhcp-authoritative", "--pid-file="]);
    command.arg(format!("--dhcp-leasefile={}", leases.display()));
    command.arg(format!("--interface={}", config.interface));
    command.arg(format!("--dhcp-range={},{},255.255.255.0,{SECONDS}", ip(first), ip(last)));
    command.arg(format!("--dhcp-option=3,{ROUTER},{OTHER_ROUTER}"));
    command.arg(format!("--dhcp-option=6,{ROUTER}"));
    command.arg(format!("--dhcp-option=15,{DOMAIN}"));
    command.arg(format!("--dhcp-option=26,{MTU}"));
    command.arg(format!("--dhcp-option=121,0.0.0.0/0,{ROUTER},192.0.2.0/24,{}", ip(9)));
    command
}
