//! The two 8259 interrupt controllers: only ever masked.

use super::port::Port;

/// Moves both controllers' vectors out of the exceptions' range and masks all their lines.
///
/// # Safety
/// Ring 0; nobody relies on an 8259 interrupt.
pub unsafe fn mask() {
    const COMMANDS: [u16; 2] = [0x20, 0xa0];
    // A spurious IRQ 7 or 15 may still come through a masked controller: it must not look like
    // an exception, so ICW2 moves the vectors to 0xf0 and 0xf8, which nothing else uses.
    for (index, command) in COMMANDS.into_iter().enumerate() {
        let second = index == 1;
        let vector: u8 = if second { 0xf8 } else { 0xf0 };
        let cascade: u8 = if second { 2 } else { 1 << 2 };
        // SAFETY: these ports are the 8259's on every PC, and without one writes go nowhere.
        unsafe {
            Port::new(command).write(0x11_u8);
            let mut data = Port::new(command + 1);
            data.write(vector);
            data.write(cascade);
            data.write(0x01_u8);
            data.write(0xff_u8);
        }
    }
}
