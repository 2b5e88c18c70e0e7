//! The statuses that an image ends with.

/// All went well.
pub const SUCCESS: u8 = 0;
/// `main` returned an error.
pub const MAIN_FAILED: u8 = 1;
/// A panic.
pub const PANIC: u8 = 101;
/// A processor exception.
pub const EXCEPTION: u8 = 102;
/// The command line could not be understood.
pub const BAD_COMMAND_LINE: u8 = 103;
/// There is no network interface.
pub const NO_NETWORK: u8 = 104;
/// There is too little memory.
pub const TOO_LITTLE_MEMORY: u8 = 105;
/// There is no source of randomness.
pub const NO_ENTROPY: u8 = 106;
/// What the boot loader or the firmware handed over makes no sense.
pub const BAD_BOOT: u8 = 107;
/// A test failed.
pub const TEST_FAILED: u8 = 108;
