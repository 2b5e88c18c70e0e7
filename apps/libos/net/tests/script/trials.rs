//! The tester tried itself: wrong scripts are noticed, and nonsense is told where it is.

use super::play;

const TITLE: &str = "# RFC 9293, 3.5: a script for the tester itself\n";

fn plays(text: &str) -> Result<(), String> {
    play("rfc9293/trial", &format!("{TITLE}{text}"), 3)
}

fn says(text: &str, what: &str) {
    let said = plays(text).expect_err(text);
    assert!(said.contains(what), "{text}\nsaid: {said}");
}

const ECHO: &str = "\
    established win 5000\n\
    < P. 1:101(100) ack 1 win 5000\n\
    told received\n\
    got 100\n\
    send 50\n\
    > P. 1:51(50) ack 101\n\
    < . 101:101(0) ack 51\n\
    quiet 10\n";

#[test]
fn a_script_that_is_right_holds() {
    plays(ECHO).unwrap();
}

#[test]
fn a_packet_that_is_not_as_expected_is_noticed() {
    for (right, wrong, said) in [
        ("> P. 1:51(50) ack 101", "> P. 1:52(51) ack 101", "len 50, not len 51"),
        ("> P. 1:51(50) ack 101", "> P. 2:52(50) ack 101", "seq 1, not seq 2"),
        ("> P. 1:51(50) ack 101", "> P. 1:51(50) ack 102", "ack 101, not ack 102"),
        ("> P. 1:51(50) ack 101", "> F. 1:51(50) ack 101", "not flags F."),
        ("> P. 1:51(50) ack 101", "> . 1:51(50) ack 101 win 1", "not win 1"),
        ("> P. 1:51(50) ack 101", "> . 1:51(50) ack 101 win 1..9", "not win 1..9"),
        ("> P. 1:51(50) ack 101", "> . 1:51(50) ack 101 mss *", "absent, not mss *"),
        ("> P. 1:51(50) ack 101", "> . 1:51(50) ack 101 !win", "not !win"),
        ("> P. 1:51(50) ack 101", "> . 1:51(50) ack 101 to gw", "to peer, not to gw"),
        ("> P. 1:51(50) ack 101", "> icmp echo", "tcp is no icmp"),
    ] {
        assert!(ECHO.contains(right));
        let text = ECHO.replace(right, wrong);
        says(&text, said);
        says(&text, "line 7");
    }
}

#[test]
fn the_report_says_all_there_is_to_know() {
    let said = plays(&ECHO.replace("ack 101\n", "ack 7\n")).unwrap_err();
    for part in
        ["rfc9293/trial.script", "line 7", "expected: P. 1:51(50) ack 7", "came: P. 1:51(50)"]
    {
        assert!(said.contains(part), "{part}: {said}");
    }
    for part in ["< S 0:0(0)", "> S. 0:0(0)", "< P. 1:101(100)", "seed 3", "REFLEX_SEED=3"] {
        assert!(said.contains(part), "{part}: {said}");
    }
}

#[test]
fn what_is_sent_and_not_expected_is_noticed() {
    says(&ECHO.replace("> P. 1:51(50) ack 101\n", ""), "nothing was expected");
    says(&ECHO.replace("quiet 10\n", "send 5\n"), "nothing was expected");
    // Without its acknowledgement the segment is sent again.
    says(&ECHO.replace("< . 101:101(0) ack 51\n", ""), "nothing was expected");
}

#[test]
fn what_is_expected_and_not_sent_is_noticed() {
    says(&ECHO.replace("send 50\n", ""), "nothing was sent");
    says(&format!("{ECHO}+5 > . 51:51(0) ack 101\n"), "nothing was sent");
    says(&format!("{ECHO}+* > . 51:51(0) ack 101\n"), "nothing was sent");
}

#[test]
fn a_packet_at_another_time_is_noticed() {
    let unanswered = "established\nsend 10\n> P. 1:11(10) ack 1\n";
    plays(&format!("{unanswered}+1 > P. 1:11(10) ack 1\n")).unwrap();
    plays(&format!("{unanswered}+0.5~1.5 > P. 1:11(10) ack 1\n")).unwrap();
    plays(&format!("{unanswered}+* > P. 1:11(10) ack 1\n")).unwrap();
    says(&format!("{unanswered}+0.9 > P. 1:11(10) ack 1\n"), "nothing was sent");
    says(&format!("{unanswered}+1.1 > P. 1:11(10) ack 1\n"), "too early");
    says(&format!("{unanswered}+1.1~2 > P. 1:11(10) ack 1\n"), "too early");
    says(&format!("{unanswered}> P. 1:11(10) ack 1\n"), "nothing was sent");
}

#[test]
fn what_the_application_finds_is_noticed() {
    says(&ECHO.replace("told received", "told nothing"), "told: received");
    says(&ECHO.replace("told received", "told received closed"), "told: received");
    says(&ECHO.replace("got 100", "got 99"), "100 bytes");
    says(&ECHO.replace("1:101(100) ack 1 win", "1:101(100) ack 1 junk win"), "byte at 0 is wrong");
    says(&format!("{ECHO}state CLOSED\n"), "the state is ESTABLISHED");
    says(&format!("{ECHO}count accepted 2\n"), "accepted is 1");
    says("established deaf\n< . 1:11(10) ack 1\nread 20\n", "there were 10 bytes");
}

#[test]
fn nonsense_is_told_with_its_line() {
    for (text, said) in [
        ("listen 80\n", "nothing is checked"),
        ("established\n", "nothing is checked"),
        ("quiet 1\nfoo\n", "line 3: \"foo\" is no command"),
        ("quiet\n", "how long?"),
        ("quiet long\n", "\"long\" is no time"),
        ("quiet 1 2\n", "\"2\" is too much"),
        ("listen 70000\n", "none of that size"),
        ("listen 80 colour 5\n", "\"colour\" is no option"),
        ("told happiness\n", "nobody is told \"happiness\""),
        ("told\n", "what is told"),
        ("state HAPPY\n", "a state of RFC 9293"),
        ("> Q 0:0(0)\n", "neither a protocol nor TCP flags"),
        ("> S\n", "BEGIN:END(LENGTH) is missing"),
        ("> S 0:5\n", "is not BEGIN:END(LENGTH)"),
        ("> S 0:5(6)\n", "there are 5 bytes, not 6"),
        ("> S 0:0(0) colour 5\n", "has no field \"colour\""),
        ("> S 0:0(0) win\n", "\"win\" has no value"),
        ("> S 0:0(0) win large\n", "\"large\" is no value of \"win\""),
        ("> icmp hello\n", "\"hello\" is no message"),
        ("> udp 7 len 4\n", "is not FROM>TO"),
        ("> arp request target nowhere\n", "\"nowhere\" is no value"),
        ("+x quiet 1\n", "\"x\" is no time"),
        ("+2~1 > S 0:0(0)\n", "ends before it begins"),
        ("+1~2 quiet 1\n", "has a time between two"),
        ("+1\n", "a time alone is no step"),
        ("quiet 1\nconfig dad\n", "before everything else"),
        ("config happiness\nquiet 1\n", "happiness  is no parameter"),
        ("send 5\nquiet 1\n", "there is no connection yet"),
        ("count happiness 1\n", "nothing is counted as"),
        ("< . *\nquiet 1\n", "has a sequence number"),
    ] {
        says(text, said);
    }
}

#[test]
fn a_title_names_its_section() {
    for title in
        ["", "# hello\n", "# RFC 791, 3.2: of another document\n", "# RFC 9293: no section\n"]
    {
        let said = play("rfc9293/trial", &format!("{title}quiet 1\n"), 3).unwrap_err();
        assert!(said.contains("line 1: the first line is"), "{said}");
    }
    let said = play("loose/trial", "quiet 1\n", 3).unwrap_err();
    assert!(said.contains("is no rfcNUMBER"), "{said}");
}

/// Whatever a script's text is, reading it ends, with a script or with what is wrong.
#[test]
fn any_text_is_a_script_or_nonsense() {
    let mut random = reflex_testkit::Random::new(5);
    let words: Vec<&str> = ECHO.split_inclusive([' ', '\n', ':', '.', '(', ')']).collect();
    for _ in 0..3000 {
        let count = random.below(30);
        let mut text = String::from(TITLE);
        for _ in 0..count {
            text.push_str(words[random.below(words.len() as u64) as usize]);
        }
        let _ = super::language::script(&text, 9293);
    }
}
