//! The application's handle of a TCP connection.

use core::fmt;
use core::ops::Deref;
use reflex_runtime::Runtime;

/// A TCP connection, or what used to be one: a handle may be kept and copied freely, and
/// answers [`NetError::Closed`](crate::net::NetError::Closed) once the connection is over.
///
/// All calls are legal from any handler. They take constant time, but for the bytes copied.
#[derive(Clone, PartialEq, Eq)]
pub struct Connection(pub(crate) reflex_net::Connection<Runtime>);

impl Deref for Connection {
    type Target = reflex_net::Connection<Runtime>;

    #[inline]
    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
