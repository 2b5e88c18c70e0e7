//! nmap: what it finds out is what is so, and nothing more.

use super::tools::Attack;
use super::victim::ECHO;

/// Ports that are scanned: one of them is open.
const PORTS: u16 = 300;

/// The lines of an nmap report that name a port and its state.
fn states(report: &str) -> Vec<(&str, &str)> {
    let lines = report.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        let port = words.next().filter(|port| port.contains('/') || port.parse::<u8>().is_ok())?;
        Some((port, words.next()?))
    });
    lines.collect()
}

/// Scans ports: the open one is in the state `open` of the protocol, all others are as `rest` says.
#[track_caller]
fn finds(attack: &Attack, scan: &[&str], open: &[(&str, &str)], rest: &str) {
    let (ports, host) = (format!("1-{PORTS}"), attack.address().to_string());
    // At the pace that nmap finds by itself; answers to closed ports are limited, and it is told by their loss.
    let arguments = [&["-n", "-Pn", "-p", &ports], scan, &[&host]].concat();
    let (report, content) = attack.run("nmap", &arguments);
    assert!(content, "{report}");
    let all = usize::from(PORTS) - open.len();
    assert!(report.contains(&format!("Not shown: {all} {rest}")), "{scan:?}\n{report}");
    assert_eq!(states(&report), open, "{scan:?}\n{report}");
}

#[test]
fn nmap_finds_what_is_open_and_what_is_closed() {
    let Some(mut attack) = Attack::on("echo", "") else { return };
    attack.victim.echoes();
    let open = [("7/tcp", "open")];
    let closed = "closed tcp ports (reset)";
    finds(&attack, &["-sT"], &open, "closed tcp ports (conn-refused)");
    finds(&attack, &["-sS"], &open, closed);
    // Nothing but the port itself is said by an opening in fragments of eight bytes.
    finds(&attack, &["-sS", "-f"], &open, closed);
    // An open port hears nothing in these but that they acknowledge nothing (RFC 9293, 3.10.7.2): as a closed one.
    for scan in ["-sF", "-sX", "-sN", "-sM"] {
        finds(&attack, &[scan], &[], closed);
    }
    finds(&attack, &["-sA"], &[], "unfiltered tcp ports (reset)");
    finds(&attack, &["-sW"], &[], closed);
    finds(&attack, &["-sU"], &[("7/udp", "open")], "closed udp ports (port-unreach)");
    // A segment with a wrong checksum was never sent, wherever it goes: no middlebox answers for the image.
    let (report, content) = {
        let host = attack.address().to_string();
        attack.run("nmap", &["-n", "-Pn", "--badsum", "-sS", "-p", "7,8", &host])
    };
    let silent = [("7/tcp", "filtered"), ("8/tcp", "filtered")];
    assert!(content && states(&report) == silent, "{report}");
    attack.victim.echoes();
    let report = attack.victim.report();
    for name in ["closed_port", "bad_checksum", "fragments", "reassembled", "half_open_failed"] {
        assert!(report.count(name) > 0, "{name}: {report:#?}");
    }
    attack.victim.end(&[]);
}

/// Other protocols are refused by name (RFC 1122, 3.2.2.1), and those that are spoken are found.
#[test]
fn nmap_finds_the_protocols_and_the_service() {
    let Some(mut attack) = Attack::on("echo", "") else { return };
    attack.victim.echoes();
    let host = attack.address().to_string();
    let (report, content) = attack.run("nmap", &["-n", "-Pn", "-sO", &host]);
    assert!(content, "{report}");
    assert!(report.contains("closed n/a protocols (proto-unreach)"), "{report}");
    assert_eq!(states(&report), [("1", "open"), ("6", "open"), ("17", "open")], "{report}");
    // The service's own probes: it is an echo service, whatever it is sent.
    let port = ECHO.to_string();
    let (report, content) = attack.run("nmap", &["-n", "-Pn", "-sV", "-p", &port, &host]);
    assert!(content && report.contains("7/tcp open  echo"), "{report}");
    attack.victim.echoes();
    attack.victim.end(&[]);
}

/// An idle scan has an innocent host, the zombie, answer what its victim sends, and reads from the identifications of
/// the zombie's packets how often it did. The image is of no use for that: what it sends to one host says nothing of
/// what it sends to others.
#[test]
fn nmap_cannot_use_an_image_as_its_zombie() {
    let Some(mut attack) = Attack::on("echo", "") else { return };
    attack.victim.echoes();
    let own = attack.address().octets();
    let other = format!("{}.{}.{}.99", own[0], own[1], own[2]);
    // By an open port, and by a closed one.
    for port in [ECHO, 9] {
        let zombie = format!("{}:{port}", attack.address());
        let arguments = ["-n", "-Pn", "--send-ip", "-p", "22", "-sI", &zombie, &other];
        let (report, content) = attack.run("nmap", &arguments);
        assert!(!content, "{report}");
        assert!(
            report.contains("cannot be used because IP ID sequence class is: All zeros"),
            "{report}"
        );
    }
    // What nmap makes of all that the image says of itself.
    let host = attack.address().to_string();
    let arguments = ["-n", "-Pn", "-v", "-O", "--max-os-tries", "1", "-p", "7,8", &host];
    let (report, content) = attack.run("nmap", &arguments);
    assert!(content, "{report}");
    assert!(report.contains("IP ID Sequence Generation: All zeros"), "{report}");
    // Of resets, too, and initial sequence numbers are none that could be guessed.
    let fingerprint: String = report.lines().filter_map(|line| line.strip_prefix("OS:")).collect();
    assert!(fingerprint.contains("TI=Z%CI=Z"), "{report}");
    assert!(report.contains("(Good luck!)"), "{report}");
    attack.victim.end(&[]);
}
