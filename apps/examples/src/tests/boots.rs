use super::main;
use reflex::testing::{Medium, Simulation, StartError};

#[test]
fn it_counts_what_outlives_the_machine() {
    let medium = Medium::new(8, 4).named("boots");
    for count in 1..=3 {
        // It ends as soon as it has started, which the builder tells as an error.
        let started = Simulation::builder().disk(&medium).start(main);
        assert_eq!(started.err(), Some(StartError::Ended(0)));
        assert_eq!((medium.bytes(0, 1)[0], medium.flushes()), (count, u64::from(count)));
    }
}

#[test]
fn without_its_disk_it_says_so() {
    let ended = Simulation::new(main).err();
    assert_eq!(ended, Some(StartError::Ended(reflex::status::MAIN_FAILED)));
}
