//! What is run a second time with the newest QEMU: enough to know that images boot on both machines, count
//! instructions, serve over both kinds of network, and are measured.

/// What they are called in the report.
pub(super) const NAME: &str = "the essentials with the newest QEMU";

/// The group of in-image tests: those under `-icount`, on every machine.
pub(super) const GROUP: &str = super::guest::COUNTING_GROUP;

/// The end-to-end tests.
pub(super) const END_TO_END: [&str; 16] = [
    "benchmarks::a_small_run_names_its_emulator",
    "console::a_slow_reader_holds_the_sender_up_and_loses_nothing",
    "console::lines_are_said_back_on_microvm",
    "console::lines_are_said_back_on_q35",
    "echo::a_fixed_address_on_a_tap",
    "httpd::on_microvm",
    "httpd::on_q35",
    "machines::four_mebibytes_serve_sixteen_connections",
    "machines::hello_says_hello_and_succeeds_on_both_machines",
    "machines::microvm_without_acpi",
    "machines::q35_with_qboot",
    "processors::all_start_on_microvm",
    "processors::all_start_on_microvm_without_acpi",
    "processors::all_start_on_q35",
    "shutdown::an_idle_image_is_turned_off_on_both_machines",
    "shutdown::what_is_in_hand_is_answered_and_nothing_new_is_taken",
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::path::Path;

    #[test]
    fn every_one_is_there() {
        let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/e2e/src");
        for test in END_TO_END {
            let (module, name) = test.rsplit_once("::").unwrap();
            let file = sources.join(module.replace("::", "/")).with_extension("rs");
            let source = fs::read_to_string(&file).unwrap();
            assert!(source.contains(&format!("#[test]\nfn {name}()")), "{test}");
        }
    }
}
