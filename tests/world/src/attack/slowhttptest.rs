//! slowhttptest: clients that take a server's connections and do next to nothing with them. The server ends each by its
//! own limits (`docs/http.md`, "Limits"), and serves all others meanwhile.

use super::site::{CLIENTS, SPARE, endpoint, serve};
use super::slow_clients::come_and_go;
use super::tools::Attack;
use super::victim::Report;
use crate::seed::times;
use std::time::{Duration, Instant};

/// How long slowhttptest goes on at most, in seconds: longer than any limit, so that the server ends its connections.
const LENGTH: u64 = 100;
/// Within this time the last has to be gone: a reader has 30 s for its first 1,024 bytes, and 30 s for the next.
const LIMIT: Duration = Duration::from_secs(90);

/// Heads that never end; bodies that do not; readers that hardly read ten long answers; many ranges of one file.
const KINDS: [&[&str]; 4] = [
    &["-H", "-i", "3"],
    &["-B", "-i", "3", "-s", "8192"],
    READERS,
    &["-R", "-a", "5", "-b", "1000", "-t", "HEAD"],
];

const READERS: &[&str] = &["-X", "-w", "32", "-y", "64", "-n", "5", "-z", "16", "-k", "10"];

#[test]
fn slowhttptest_keeps_nobody_out_and_is_ended_by_the_server() {
    let count = times(500, 2_500);
    let places = u64::from(CLIENTS) + KINDS.len() as u64 * count + SPARE;
    let Some(mut attack) = Attack::on("httpd", &format!("connections={places}")) else { return };
    let crowd = serve(&mut attack.victim);
    let server = endpoint(&mut attack.victim);
    // Each program also has a connection to see whether the server is there.
    let before = come_and_go(&mut attack.victim, server, (count + SPARE / 8) as usize);
    let begun = Instant::now();
    let common = ["-v", "1", "-c", &count.to_string(), "-r", "500", "-l", &LENGTH.to_string()]
        .map(str::to_owned);
    let url = format!("http://{server}/priorities.html");
    let mut running = Vec::new();
    for kind in KINDS {
        let common = common.iter().map(String::as_str);
        let arguments: Vec<&str> = kind.iter().copied().chain(common).chain(["-u", &url]).collect();
        running.push((kind, attack.start_as(kind[0], "slowhttptest", &arguments)));
    }
    let most = u64::from(CLIENTS) + 2 * count;
    attack.victim.until("the slow clients are there", |now| now.connections() >= most);
    // It does not notice that a reader was reset, but for the others.
    for (kind, program) in running.iter_mut().filter(|(kind, _)| kind != &READERS) {
        while !program.has_ended() {
            assert!(begun.elapsed() < LIMIT, "{kind:?} goes on\n{}", program.log());
            crowd.moves_on();
        }
        let said = program.log();
        println!("{kind:?}: {count} connections are ended after {:?}", begun.elapsed());
        assert!(said.contains("No open connections left"), "{kind:?}\n{said}");
    }
    // The readers are the last.
    loop {
        let now = attack.victim.report();
        if now.connections() == u64::from(CLIENTS) && now.half_open() == 0 {
            let counted = |report: &Report| report.count("ended") + report.count("failed");
            assert!(counted(&now) - counted(&before) >= KINDS.len() as u64 * count, "{now:#?}");
            assert_eq!(now.memory(), before.memory());
            break;
        }
        assert!(begun.elapsed() < LIMIT, "readers stay: {now:#?}");
        crowd.moves_on();
    }
    println!("{READERS:?}: {count} connections are ended after {:?}", begun.elapsed());
    drop(running);
    crowd.moves_on();
    crowd.end();
    attack.victim.end(&[]);
}
