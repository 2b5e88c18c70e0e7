//! Symbols that precompiled `core` and `alloc` refer to. With `panic = "abort"` nothing unwinds,
//! so neither is ever called.

/// What landing pads would be found by.
#[unsafe(no_mangle)]
extern "C" fn rust_eh_personality() {}

/// Where a landing pad would go on.
#[unsafe(no_mangle)]
extern "C" fn _Unwind_Resume() -> ! {
    crate::exit::turn_off(crate::exit::PANIC)
}
