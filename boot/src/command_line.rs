//! The kernel command line: words `key=value` or `key`, separated by blanks, or each with a zero byte behind it when
//! it is [merged](crate::configuration) with what else tells an image something.
//!
//! The kernel's keys are checked here. All others are the application's, which finds them by
//! [`CommandLine::get`].

use crate::context_config;
use crate::secret::Secret;
use core::fmt;
use core::net::{Ipv4Addr, Ipv6Addr};
use core::ops::RangeInclusive;
use core::str::FromStr;
use log::LevelFilter;

/// How the first network interface gets its address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Addressing {
    /// `ip=dhcp`, or nothing said.
    Dhcp,
    /// `ip=ADDRESS/PREFIX`.
    Static {
        /// The interface's address.
        address: Ipv4Addr,
        /// Bits of the address that name the network, 1 to 32.
        prefix: u8,
        /// `gw=ADDRESS`: the router to everywhere else.
        gateway: Option<Ipv4Addr>,
    },
}

/// What words are separated by.
#[derive(Clone, Copy)]
enum Separator {
    Blanks,
    ZeroBytes,
}

/// A command line, with its keys for the kernel understood.
#[derive(Clone, Copy)]
pub struct CommandLine<'a> {
    text: &'a str,
    separator: Separator,
    /// `ip` and `gw`.
    pub addressing: Addressing,
    /// `ip6`: an IPv6 address beside the link-local one, and the bits of it that name the network.
    pub ip6: Option<(Ipv6Addr, u8)>,
    /// `gw6`: the router over IPv6, whatever its address.
    pub gw6: Option<Ipv6Addr>,
    /// `dad=off`: others with an address of ours are not looked for, nor is it defended against them.
    pub dad: bool,
    /// `watchdog`: seconds of standstill after which the machine's watchdog resets it, where it has
    /// one; 0 when it is not to.
    pub watchdog: u32,
    /// `log`: the least severe level that is written; `info` when not given.
    pub log: LevelFilter,
    /// `quarantine`: the most bytes of computations that were given up that are not used again.
    pub quarantine: Option<u64>,
    /// `heap`: the most bytes that the global heap may have.
    pub heap: Option<u64>,
}

/// Why a command line was refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Error {
    /// It is not UTF-8.
    NotText,
    /// The value of `ip`.
    Ip,
    /// The value of `gw`.
    Gateway,
    /// The value of `ip6`.
    Ip6,
    /// The value of `gw6`.
    Gateway6,
    /// The value of `dad`.
    Dad,
    /// `gw` without a static `ip`.
    GatewayWithoutIp,
    /// The value of `log`.
    Log,
    /// The value of `watchdog`.
    Watchdog,
    /// The value of `quarantine`.
    Quarantine,
    /// The value of `heap`.
    Heap,
    /// `ip`, `gw`, `ip6`, `gw6`, `dad`, `watchdog`, `quarantine`, `heap` or `log` is given twice.
    Repeated,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotText => "command line: expected UTF-8 text",
            Self::Ip => {
                "command line: ip: expected dhcp or ADDRESS/PREFIX, such as ip=10.77.0.2/24"
            }
            Self::Gateway => "command line: gw: expected an address, such as gw=10.77.0.1",
            Self::GatewayWithoutIp => "command line: gw: expected only beside ip=ADDRESS/PREFIX",
            Self::Ip6 => "command line: ip6: expected ADDRESS/PREFIX, such as ip6=fd00::2/64",
            Self::Gateway6 => "command line: gw6: expected an address, such as gw6=fe80::1",
            Self::Dad => "command line: dad: expected on or off",
            Self::Log => "command line: log: expected off, error, warn, info, debug or trace",
            Self::Watchdog => {
                "command line: watchdog: expected seconds from 1 to 1800, or 0 for none"
            }
            Self::Quarantine => {
                "command line: quarantine: expected a number of bytes, as in quarantine=16m"
            }
            Self::Heap => {
                "command line: heap: expected a number of bytes, 128k at least, as in heap=16m"
            }
            Self::Repeated => {
                "command line: expected each of ip, gw, ip6, gw6, dad, watchdog, quarantine, heap and \
                 log only once"
            }
        })
    }
}

impl core::error::Error for Error {}

/// Seconds of standstill that are borne when nothing is said: many times what a busy host keeps a
/// virtual machine waiting, and little for a person.
const USUAL_WATCHDOG: u32 = 30;
const MOST_WATCHDOG: u32 = 1800;
/// The heap that start-up has, and a chunk.
const LEAST_HEAP: usize = 128 << 10;

impl<'a> CommandLine<'a> {
    /// Understands `text`, words that are separated by blanks.
    ///
    /// # Errors
    /// [`Error`]; what it says names the key and what was expected.
    pub fn parse(text: &'a [u8]) -> Result<Self, Error> {
        Self::understand(text, Separator::Blanks)
    }

    /// Understands words of which each has a zero byte behind it; their values may have blanks.
    ///
    /// # Errors
    /// As for [`CommandLine::parse`].
    pub fn of_words(text: &'a [u8]) -> Result<Self, Error> {
        Self::understand(text, Separator::ZeroBytes)
    }

    fn understand(text: &'a [u8], separator: Separator) -> Result<Self, Error> {
        let text = core::str::from_utf8(text).map_err(|_| Error::NotText)?;
        let (addressing, log) = (Addressing::Dhcp, LevelFilter::Info);
        let (ip6, gw6, dad, watchdog) = (None, None, true, USUAL_WATCHDOG);
        let (quarantine, heap) = (None, None);
        let mut line =
            Self { text, separator, addressing, ip6, gw6, dad, watchdog, quarantine, heap, log };
        let once = ["ip", "gw", "ip6", "gw6", "dad", "watchdog", "quarantine", "heap", "log"];
        if once.iter().any(|key| line.all(key).count() > 1) {
            return Err(Error::Repeated);
        }
        if let Some(level) = line.get("log") {
            line.log = parse_level(level).ok_or(Error::Log)?;
        }
        if let Some(value) = line.get("watchdog") {
            line.watchdog = parse_number(value, 0..=MOST_WATCHDOG).ok_or(Error::Watchdog)?;
        }
        if let Some(value) = line.get("ip6") {
            line.ip6 = Some(parse_network6(value).ok_or(Error::Ip6)?);
        }
        if let Some(value) = line.get("gw6") {
            line.gw6 = Some(parse_host6(value).ok_or(Error::Gateway6)?);
        }
        if let Some(value) = line.get("dad") {
            line.dad = match value {
                "on" => true,
                "off" => false,
                _ => return Err(Error::Dad),
            };
        }
        if let Some(value) = line.get("quarantine") {
            line.quarantine =
                Some(context_config::bytes(value, 0).ok_or(Error::Quarantine)? as u64);
        }
        if let Some(value) = line.get("heap") {
            line.heap = Some(context_config::bytes(value, LEAST_HEAP).ok_or(Error::Heap)? as u64);
        }
        let gateway = match line.get("gw") {
            Some(gateway) => Some(parse_host(gateway).ok_or(Error::Gateway)?),
            None => None,
        };
        match line.get("ip") {
            None | Some("dhcp") if gateway.is_some() => return Err(Error::GatewayWithoutIp),
            None | Some("dhcp") => {}
            Some(value) => {
                let (address, prefix) = parse_network(value).ok_or(Error::Ip)?;
                line.addressing = Addressing::Static { address, prefix, gateway };
            }
        }
        Ok(line)
    }

    /// The value of `key`: the first one, when there are several; empty for a bare `key`.
    pub fn get(&self, key: &str) -> Option<&'a str> {
        self.all(key).next()
    }

    /// All values of `key`, in order.
    pub fn all(&self, key: &str) -> impl Iterator<Item = &'a str> {
        self.words().filter(move |word| word.0 == key).map(|word| word.1)
    }

    /// All keys and their values, in order.
    pub fn words(&self) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        let separates: fn(char) -> bool = match self.separator {
            Separator::Blanks => |c| c.is_ascii_whitespace(),
            Separator::ZeroBytes => |c| c == '\0',
        };
        let words = self.text.split(separates).filter(|word| !word.is_empty());
        words.map(|word| word.split_once('=').unwrap_or((word, "")))
    }

    /// The value of `key`, as what is not to be printed.
    pub fn secret(&self, key: &str) -> Option<Secret<'a>> {
        self.get(key).map(Secret::new)
    }
}

/// Keys alone: any value may be a secret.
impl fmt::Debug for CommandLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.words().map(|(key, _)| key)).finish()
    }
}

fn parse_level(text: &str) -> Option<LevelFilter> {
    Some(match text {
        "off" => LevelFilter::Off,
        "error" => LevelFilter::Error,
        "warn" => LevelFilter::Warn,
        "info" => LevelFilter::Info,
        "debug" => LevelFilter::Debug,
        "trace" => LevelFilter::Trace,
        _ => return None,
    })
}

/// An address that one host can have.
fn parse_host(text: &str) -> Option<Ipv4Addr> {
    let address: Ipv4Addr = text.parse().ok()?;
    let host = address.octets()[0] != 0 && address.octets()[0] < 224 && !address.is_loopback();
    host.then_some(address)
}

fn parse_network(text: &str) -> Option<(Ipv4Addr, u8)> {
    let (address, prefix) = text.split_once('/')?;
    Some((parse_host(address)?, parse_prefix(prefix, 32)?))
}

fn parse_network6(text: &str) -> Option<(Ipv6Addr, u8)> {
    let (address, prefix) = text.split_once('/')?;
    Some((parse_host6(address)?, parse_prefix(prefix, 128)?))
}

fn parse_host6(text: &str) -> Option<Ipv6Addr> {
    let address: Ipv6Addr = text.parse().ok()?;
    let nobody = address.is_unspecified() || address.is_loopback() || address.is_multicast();
    (!nobody && address.to_ipv4_mapped().is_none()).then_some(address)
}

fn parse_prefix(text: &str, most: u8) -> Option<u8> {
    parse_number(text, 1..=most)
}

/// Digits alone: no sign.
fn parse_number<T: FromStr + PartialOrd>(text: &str, range: RangeInclusive<T>) -> Option<T> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|number| digits && range.contains(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<CommandLine<'_>, Error> {
        CommandLine::parse(text.as_bytes())
    }

    #[test]
    fn nothing_said_is_dhcp_and_info() {
        let line = parse("").unwrap();
        assert_eq!((line.addressing, line.log), (Addressing::Dhcp, LevelFilter::Info));
        assert_eq!(line.watchdog, 30);
        assert_eq!(line.words().count(), 0);
    }

    #[test]
    fn a_static_address_with_its_gateway() {
        let line = parse("ip=10.77.0.2/24 gw=10.77.0.1 log=trace").unwrap();
        assert_eq!(
            line.addressing,
            Addressing::Static {
                address: Ipv4Addr::new(10, 77, 0, 2),
                prefix: 24,
                gateway: Some(Ipv4Addr::new(10, 77, 0, 1)),
            }
        );
        assert_eq!(line.log, LevelFilter::Trace);
    }

    #[test]
    fn an_ipv6_address() {
        let line = parse("ip6=fd00::2/64").unwrap();
        assert_eq!(line.ip6, Some(("fd00::2".parse().unwrap(), 64)));
        assert_eq!(line.addressing, Addressing::Dhcp);
        assert_eq!((line.gw6, line.dad), (None, true));
        assert_eq!(parse("gw6=fe80::1").unwrap().gw6, Some("fe80::1".parse().unwrap()));
    }

    #[test]
    fn detection_of_address_conflicts_may_be_off() {
        assert!(parse("dad=on").unwrap().dad);
        assert!(!parse("dad=off").unwrap().dad);
    }

    #[test]
    fn a_bound_on_the_heap() {
        assert_eq!(parse("").unwrap().heap, None);
        for (text, bytes) in [("131072", 128 << 10), ("128k", 128 << 10), ("3m", 3 << 20)] {
            assert_eq!(parse(&format!("heap={text}")).unwrap().heap, Some(bytes));
        }
    }

    #[test]
    fn a_bound_on_what_is_quarantined() {
        assert_eq!(parse("").unwrap().quarantine, None);
        for (text, bytes) in [("0", 0), ("4096", 4096), ("64k", 64 << 10), ("16m", 16 << 20)] {
            let line = format!("quarantine={text}");
            assert_eq!(parse(&line).unwrap().quarantine, Some(bytes));
        }
    }

    #[test]
    fn the_watchdog_may_be_quicker_slower_or_off() {
        for (text, seconds) in [("watchdog=1", 1), ("watchdog=1800", 1800), ("watchdog=0", 0)] {
            assert_eq!(parse(text).unwrap().watchdog, seconds);
        }
    }

    #[test]
    fn unknown_keys_are_the_applications() {
        let line = parse("  verbose color=blue= virtio_mmio.device=512@1 virtio_mmio.device=2\n");
        let line = line.unwrap();
        assert_eq!(line.get("verbose"), Some(""));
        assert_eq!(line.get("color"), Some("blue="));
        assert_eq!(line.get("colo"), None);
        assert!(line.all("virtio_mmio.device").eq(["512@1", "2"]));
    }

    #[test]
    fn each_refusal_names_its_key() {
        for (text, error, word) in [
            ("ip=10.0.0.2", Error::Ip, "ip:"),
            ("ip=10.0.0.2/0", Error::Ip, "ip:"),
            ("ip=10.0.0.2/33", Error::Ip, "ip:"),
            ("ip=10.0.0.2/+8", Error::Ip, "ip:"),
            ("ip=10.0.0.256/24", Error::Ip, "ip:"),
            ("ip=224.0.0.1/24", Error::Ip, "ip:"),
            ("ip=0.0.0.0/24", Error::Ip, "ip:"),
            ("ip=127.0.0.1/8", Error::Ip, "ip:"),
            ("ip", Error::Ip, "ip:"),
            ("ip=10.0.0.2/24 gw=gate", Error::Gateway, "gw:"),
            ("gw=10.0.0.1", Error::GatewayWithoutIp, "gw:"),
            ("ip=dhcp gw=10.0.0.1", Error::GatewayWithoutIp, "gw:"),
            ("ip6=fd00::2", Error::Ip6, "ip6:"),
            ("ip6=fd00::2/129", Error::Ip6, "ip6:"),
            ("ip6=::1/64", Error::Ip6, "ip6:"),
            ("ip6=ff02::1/64", Error::Ip6, "ip6:"),
            ("ip6=::ffff:10.0.0.1/96", Error::Ip6, "ip6:"),
            ("gw6=fe80::1/64", Error::Gateway6, "gw6:"),
            ("gw6=::", Error::Gateway6, "gw6:"),
            ("gw6=10.0.0.1", Error::Gateway6, "gw6:"),
            ("dad", Error::Dad, "dad:"),
            ("dad=no", Error::Dad, "dad:"),
            ("dad=on dad=off", Error::Repeated, "once"),
            ("log=loud", Error::Log, "log:"),
            ("quarantine=", Error::Quarantine, "quarantine:"),
            ("quarantine=-1", Error::Quarantine, "quarantine:"),
            ("quarantine=16g", Error::Quarantine, "quarantine:"),
            ("quarantine=99999999999999999999m", Error::Quarantine, "quarantine:"),
            ("quarantine=1m quarantine=2m", Error::Repeated, "once"),
            ("heap=", Error::Heap, "heap:"),
            ("heap=0", Error::Heap, "heap:"),
            ("heap=131071", Error::Heap, "heap:"),
            ("heap=127k", Error::Heap, "heap:"),
            ("heap=16g", Error::Heap, "heap:"),
            ("heap=-1", Error::Heap, "heap:"),
            ("heap=1m heap=2m", Error::Repeated, "once"),
            ("watchdog", Error::Watchdog, "watchdog:"),
            ("watchdog=-1", Error::Watchdog, "watchdog:"),
            ("watchdog=1801", Error::Watchdog, "watchdog:"),
            ("watchdog=1s", Error::Watchdog, "watchdog:"),
            ("watchdog=1 watchdog=2", Error::Repeated, "once"),
            ("log=info log=off", Error::Repeated, "once"),
        ] {
            assert_eq!(parse(text).unwrap_err(), error, "{text}");
            assert!(error.to_string().contains(word));
        }
        assert_eq!(CommandLine::parse(b"\xff").unwrap_err(), Error::NotText);
    }
}
