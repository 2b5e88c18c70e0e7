//! A device's memory-mapped registers.

use core::ptr::NonNull;

/// A mapped range of registers. Accesses outside it panic; their offsets are constants, and the
/// lengths are checked when a device is found, so that none does.
#[derive(Clone, Copy)]
pub struct Registers {
    base: NonNull<u8>,
    length: usize,
}

// SAFETY: volatile accesses of a device's registers may come from any thread; whether an access
// makes sense is for the one owner of the device to know.
unsafe impl Send for Registers {}

/// An access of one width, volatile, little-endian like the machine.
macro_rules! access {
    ($read:ident, $write:ident, $word:ty) => {
        /// Reads the register at `offset`.
        ///
        /// # Panics
        /// When it lies outside of the range, or is misaligned.
        pub fn $read(&self, offset: usize) -> $word {
            // SAFETY: `at` gives a mapped, aligned address by the constructor's contract.
            unsafe { self.at::<$word>(offset).read_volatile() }
        }

        /// Writes the register at `offset`.
        ///
        /// # Panics
        /// When it lies outside of the range, or is misaligned.
        pub fn $write(&self, offset: usize, value: $word) {
            // SAFETY: `at` gives a mapped, aligned address by the constructor's contract; a store
            // to a device's register is no store to memory that anybody has a reference to.
            unsafe { self.at::<$word>(offset).write_volatile(value) }
        }
    };
}

impl Registers {
    /// The registers at `base`.
    ///
    /// # Safety
    /// `length` bytes at `base` are mapped for good and are device registers (or memory nobody
    /// else uses).
    pub unsafe fn new(base: NonNull<u8>, length: usize) -> Self {
        Self { base, length }
    }

    /// Length in bytes.
    pub fn length(&self) -> usize {
        self.length
    }

    /// The address of a `T` at `offset`.
    ///
    /// # Panics
    /// When it lies outside of the range, or is misaligned.
    pub fn at<T>(&self, offset: usize) -> NonNull<T> {
        let fits = offset.checked_add(size_of::<T>()).is_some_and(|end| end <= self.length);
        assert!(fits, "a register outside of its range");
        // SAFETY: within the range, just checked.
        let address = unsafe { self.base.add(offset) }.cast::<T>();
        assert!(address.is_aligned(), "a misaligned register");
        address
    }

    access!(read8, write8, u8);
    access!(read16, write16, u16);
    access!(read32, write32, u32);
}
