//! Values of QEMU's options.

use std::ffi::OsString;
use std::path::Path;

use super::Model;

/// The device of this kind on the machine's bus.
pub(super) fn device(model: Model, kind: &str) -> String {
    match model {
        Model::Q35 | Model::Pc => format!("{kind}-pci,disable-legacy=on"),
        Model::Microvm => format!("{kind}-device"),
    }
}

/// QEMU reads a comma in an option's value as its end, two as one.
pub(super) fn escaped(file: &Path) -> OsString {
    file.to_string_lossy().replace(',', ",,").into()
}
