//! Several processors.

use reflex::System;

#[reflex::test(group = "cores-2")]
fn two_processors_run(system: System) {
    assert_eq!(system.machine().processors.len(), 2);
    assert_eq!((system.cores(), system.core()), (2, 0));
}

#[reflex::test(group = "cores-4")]
fn four_processors_run_and_each_has_its_own_identifier(system: System) {
    let mut ids = system.machine().processors.to_vec();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 4);
    assert_eq!((system.cores(), system.core()), (4, 0));
}
