//! Application's code that runs on behalf of a context on whatever stack it may be: dropping data, and
//! copying it. What goes wrong there is that context's failure, not that of the code that delivers.

use core::mem::needs_drop;
use reflex_event::{ContextId, Kernel};

/// Drops a value as code of `owner`.
pub(crate) fn discard<K: Kernel, T>(kernel: &K, owner: ContextId, value: T) {
    // Most data is nothing to be dropped.
    if needs_drop::<T>() {
        let _ = kernel.contained(owner, (), |()| drop(value));
    }
}

/// Copies data as code of `owner`; gives it back with its copy. `None` when that has failed: then the data
/// is forgotten.
pub(crate) fn copied<K: Kernel, T>(
    kernel: &K,
    owner: ContextId,
    data: T,
    copy: fn(&T) -> T,
) -> Option<(T, T)> {
    kernel.contained(owner, data, copy).ok()
}
