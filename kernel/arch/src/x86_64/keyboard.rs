//! The keyboard controller, an 8042 or what passes for one, as far as Ctrl-Alt-Del needs it.

mod chord;

pub use chord::Chord;

use super::port::Port;

/// The ISA line of the keyboard's interrupt.
pub const LINE: u8 = 1;

const DATA: u16 = 0x60;
/// Read: the status. Written: a command.
const STATUS: u16 = 0x64;

/// A byte is to be read.
const OUTPUT_FULL: u8 = 1 << 0;
/// The last byte that was written has not been taken yet.
const INPUT_FULL: u8 = 1 << 1;
/// The byte that is to be read is the mouse's.
const FROM_MOUSE: u8 = 1 << 5;
/// What is read where there is nothing.
const NOTHING: u8 = 0xff;

const READ_CONFIGURATION: u8 = 0x20;
const WRITE_CONFIGURATION: u8 = 0x60;
const DISABLE_MOUSE: u8 = 0xa7;
const DISABLE_KEYBOARD: u8 = 0xad;
const ENABLE_KEYBOARD: u8 = 0xae;

/// Bits of the configuration: the two interrupts, and the translation to set 1.
const KEYBOARD_INTERRUPTS: u8 = 1 << 0;
const MOUSE_INTERRUPTS: u8 = 1 << 1;
const TRANSLATED: u8 = 1 << 6;

/// How often the status is looked at until a controller is taken for dead; each takes about a microsecond.
const LOOKS: u32 = 20_000;
/// Bytes that are taken at once: as many as QEMU's keyboard keeps. For each that is left there is an
/// interrupt of its own.
const BYTES: u32 = 16;

/// The controller.
#[derive(Debug)]
pub struct Keyboard {
    chord: Chord,
}

/// The keyboard is disabled until this is used.
#[derive(Debug)]
pub struct Disabled(());

impl Keyboard {
    /// The controller, if one answers, with its keyboard disabled. Its mouse is disabled for good. To be
    /// opened once: of two, each would miss the keys that the other takes.
    ///
    /// It is safe, as no command that is written here reaches memory, the processor's reset or the A20 line.
    pub fn open() -> Option<(Self, Disabled)> {
        command(DISABLE_KEYBOARD)?;
        command(DISABLE_MOUSE)?;
        // What came before is not meant.
        (0..BYTES).take_while(|_| read().is_some()).for_each(drop);
        command(READ_CONFIGURATION)?;
        let (configuration, _) = (0..LOOKS).find_map(|_| read())?;
        command(WRITE_CONFIGURATION)?;
        let wanted = (configuration | KEYBOARD_INTERRUPTS | TRANSLATED) & !MOUSE_INTERRUPTS;
        write(DATA, wanted)?;
        Some((Self { chord: Chord::default() }, Disabled(())))
    }

    /// How often Ctrl-Alt-Del was pressed by what there is to read. Legal in interrupt code.
    pub fn take_pressed(&mut self) -> u32 {
        let bytes = (0..BYTES).map_while(|_| read());
        let keys = bytes.filter(|(_, status)| status & FROM_MOUSE == 0);
        keys.fold(0, |pressed, (byte, _)| pressed + u32::from(self.chord.take(byte)))
    }
}

impl Disabled {
    /// Has the keyboard's bytes interrupt: to be called once interrupts arrive, as there is no other for a
    /// byte that has interrupted in vain. False when the controller takes no command any more.
    pub fn enable(self) -> bool {
        command(ENABLE_KEYBOARD).is_some()
    }
}

fn command(command: u8) -> Option<()> {
    write(STATUS, command)
}

/// Writes when the controller is ready; `None` when it never is, or there is none.
fn write(port: u16, value: u8) -> Option<()> {
    (0..LOOKS)
        .map_while(|_| Some(status()).filter(|status| *status != NOTHING))
        .find(|status| status & INPUT_FULL == 0)?;
    // SAFETY: on a PC the port is a keyboard controller's or nobody's; of its commands those above are
    // written, and a configuration, which concern the keyboard and the mouse alone. Outside of ring 0 the
    // instruction ends the program.
    unsafe { Port::new(port).write(value) };
    Some(())
}

/// The byte that is to be read, with the status that said so.
fn read() -> Option<(u8, u8)> {
    let status = status();
    if status == NOTHING || status & OUTPUT_FULL == 0 {
        return None;
    }
    // SAFETY: as in `write`; reading takes a byte out of the controller, and changes nothing else.
    Some((unsafe { Port::<u8>::new(DATA).read() }, status))
}

fn status() -> u8 {
    // SAFETY: as in `write`; reading the status changes nothing.
    unsafe { Port::<u8>::new(STATUS).read() }
}
