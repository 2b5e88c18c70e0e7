//! Boots of test images, played by a script in QEMU's place.

use super::*;

/// An image on a machine that runs `script`.
fn image(script: &str) -> TestImage {
    let program = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fake/qemu-system-x86_64");
    TestImage {
        emulator: Some(Emulator::at(Path::new(program)).unwrap()),
        append: format!("{script}\nexit 99\n"),
        limit: Duration::from_secs(20),
        ..TestImage::new("fake", Path::new(program))
    }
}

fn group(tests: &[&str]) -> Group {
    Group { name: None, tests: tests.iter().map(|&test| test.to_owned()).collect() }
}

/// Runs the tests; the verdicts in order.
fn run(image: &TestImage, tests: &[&str]) -> Vec<Verdict> {
    let mut verdicts = vec![None; tests.len()];
    image.run(&group(tests), |test, verdict| {
        assert!(verdicts[test].replace(verdict).is_none(), "test {test} was judged twice");
    });
    verdicts.into_iter().map(|verdict| verdict.expect("a test without a verdict")).collect()
}

/// Tells boots apart by the command line's words after the script.
const BOOT: &str = "case \"$words\" in";

#[test]
fn tests_that_pass_need_one_boot_and_a_proper_end() {
    let image = image(
        "echo '#! test-begin a'; echo '#! test-pass a'; echo '#! test-begin b'; \
         echo '#! test-pass b'; echo '#! exit 0'; exit 33",
    );
    assert_eq!(run(&image, &["a", "b"]), [Ok(()), Ok(())]);
}

#[test]
fn an_end_without_a_marker_fails_the_last_test() {
    let image = image("echo '#! test-begin a'; echo '#! test-pass a'; exit 33");
    let verdicts = run(&image, &["a"]);
    assert!(verdicts[0].as_ref().unwrap_err().contains("no end marker"), "{verdicts:?}");
}

#[test]
fn a_failed_test_says_why_and_the_others_go_on() {
    let image = image(
        "echo '#! test-begin a'; echo context; echo '#! test-fail a left is not right'; \
         echo '#! test-begin b'; echo '#! test-pass b'; echo '#! exit 108'; exit 249",
    );
    let verdicts = run(&image, &["a", "b"]);
    let reason = verdicts[0].as_ref().unwrap_err();
    assert!(reason.contains("left is not right") && reason.contains("context"), "{reason}");
    assert_eq!(verdicts[1], Ok(()));
}

#[test]
fn after_a_crash_the_next_boot_goes_on_with_the_next_test() {
    let image = image(&format!(
        "{BOOT} \
         *test.from=c*) echo '#! test-begin c'; echo '#! test-pass c'; echo '#! exit 0'; exit 33;; \
         *test.from=*) exit 77;; \
         *) echo '#! test-begin a'; echo '#! test-pass a'; echo '#! test-begin b'; \
            echo '#! crash panicked: the sky fell'; echo '#! crash-end'; echo '#! exit 101'; \
            exit 235;; esac"
    ));
    let verdicts = run(&image, &["a", "b", "c"]);
    assert_eq!(verdicts[0], Ok(()));
    let reason = verdicts[1].as_ref().unwrap_err();
    assert!(reason.contains("the sky fell") && reason.contains("panic"), "{reason}");
    assert_eq!(verdicts[2], Ok(()));
}

#[test]
fn a_test_that_hangs_is_ended_and_the_next_runs() {
    let mut image = image(&format!(
        "{BOOT} \
         *test.from=b*) echo '#! test-begin b'; echo '#! test-pass b'; echo '#! exit 0'; exit 33;; \
         *) echo '#! test-begin a'; echo waiting; exec sleep 600;; esac"
    ));
    image.limit = Duration::from_millis(500);
    let verdicts = run(&image, &["a", "b"]);
    let reason = verdicts[0].as_ref().unwrap_err();
    assert!(reason.contains("no end in 0.5 s") && reason.contains("waiting"), "{reason}");
    assert_eq!(verdicts[1], Ok(()));
}

#[test]
fn a_machine_that_never_starts_fails_every_test() {
    let image = image("echo 'no such machine' >&2; exit 1");
    let verdicts = run(&image, &["a", "b", "c"]);
    assert!(verdicts.iter().all(|v| v.as_ref().unwrap_err().contains("no such machine")));
}

#[test]
fn a_test_that_the_image_leaves_out_has_failed() {
    let image = image("echo '#! test-begin b'; echo '#! test-pass b'; echo '#! exit 0'; exit 33");
    let verdicts = run(&image, &["a", "b"]);
    assert!(verdicts[0].as_ref().unwrap_err().contains("did not run it"));
    assert_eq!(verdicts[1], Ok(()));
}

#[test]
fn groups_are_listed_in_the_images_order() {
    let image = image(
        "echo '#! test-list net tcp::a'; echo '#! test-list time b'; \
         echo '#! test-list net tcp::c'; echo '#! exit 0'; exit 33",
    );
    let groups = image.list().unwrap();
    assert_eq!(groups[0], Group { name: Some("net".into()), ..group(&["tcp::a", "tcp::c"]) });
    assert_eq!(groups[1], Group { name: Some("time".into()), ..group(&["b"]) });
}

#[test]
fn an_image_that_cannot_be_listed_is_an_error() {
    let error = image("echo '#! test-list a'; exit 33").list().unwrap_err().to_string();
    assert!(error.contains("does not tell its tests"), "{error}");
}

#[test]
fn trials_of_several_groups_all_get_their_verdict() {
    let image = image(&format!(
        "{BOOT} \
         *test.list*) for g in x y z; do for t in 1 2; do echo \"#! test-list $g $g$t\"; done; \
            done; echo '#! exit 0'; exit 33;; \
         *test.group=*) g=${{words#*test.group=}}; g=${{g%% *}}; for t in 1 2; do \
            echo \"#! test-begin $g$t\"; echo \"#! test-pass $g$t\"; done; \
            echo '#! exit 0'; exit 33;; esac"
    ));
    let (trials, errors) = trials(vec![image]);
    assert!(errors.is_empty(), "{errors:?}");
    assert_eq!(trials.len(), 6);
    let quiet = libtest_mimic::Arguments { test_threads: Some(1), ..Default::default() };
    let conclusion = libtest_mimic::run(&quiet, trials);
    assert_eq!((conclusion.num_passed, conclusion.num_failed), (6, 0));
}

#[test]
fn a_group_may_say_how_many_processors_it_boots_with() {
    assert_eq!(processors("default").unwrap(), None);
    assert_eq!(processors("cores-4").unwrap(), Some(4));
    assert!(processors("cores-many").unwrap_err().to_string().contains("cores-many"));
}
