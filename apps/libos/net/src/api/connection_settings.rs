//! What a listener's connections, a connector's and a UDP socket can be told: methods of whichever builder has
//! such `settings`, here and above.

/// The methods of a builder that has [`TcpSettings`](crate::TcpSettings).
#[doc(hidden)]
#[macro_export]
macro_rules! connection_settings {
    () => {
        /// Connections at a time; 256 unless said otherwise. When all places are taken the oldest in
        /// TIME-WAIT is cut short; when none is in TIME-WAIT the peer's attempt is dropped.
        pub fn connections(mut self, maximum: u32) -> Self {
            self.settings.connections = maximum;
            self
        }

        /// Bytes of each connection's receive and send buffers; 4096 and 8192 unless said otherwise.
        pub fn buffers(mut self, receive: usize, send: usize) -> Self {
            (self.settings.receive_buffer, self.settings.send_buffer) = (receive, send);
            self
        }

        /// Bytes that can be [written](reflex_net::Connection::write) to each connection beyond what its send
        /// buffer has room for; 16 KiB unless said otherwise.
        pub fn queue(mut self, bytes: usize) -> Self {
            self.settings.queue = bytes;
            self
        }

        /// Has the connections' buffers and queues lie in the context's own event memory, where they are made
        /// as connections come: nothing is set aside for them. When there is no memory for one more, the
        /// context is told, and the peer's attempt is dropped and counted.
        pub fn on_demand(mut self) -> Self {
            self.settings.memory = $crate::BufferMemory::OnDemand;
            self
        }

        /// Connections that have not heard from their peer for so long fail as timed out;
        /// [`Duration::MAX`](core::time::Duration::MAX): never, unless they have bytes unacknowledged. When
        /// neither this nor [`keep_alive`](Self::keep_alive) is said, an idle peer is asked for a sign of life after two
        /// hours, and has failed ten minutes later.
        pub fn timeout(mut self, idle: core::time::Duration) -> Self {
            self.settings.idle = Some(idle);
            self
        }

        /// Idle connections ask for a sign of life at this interval (RFC 1122, 4.2.3.6). Without
        /// [`timeout`](Self::timeout), four intervals without one end them.
        pub fn keep_alive(mut self, interval: core::time::Duration) -> Self {
            self.settings.keep_alive = Some(interval);
            self
        }

        /// How long a connection may stand still once our side is closed and all that was left to be sent
        /// is acknowledged: nothing comes, and the peer does not close its side. A minute unless said otherwise;
        /// then it is reset, and fails as timed out. Bytes that the peer has no room for wait for it as long as
        /// those of an open connection, or for `limit` if that is longer.
        pub fn linger(mut self, limit: core::time::Duration) -> Self {
            self.settings.linger = limit;
            self
        }
    };
}

/// The further methods of a builder that listens.
#[doc(hidden)]
#[macro_export]
macro_rules! listen_settings {
    () => {
        /// Connections that may be half open at a time: 128 unless said otherwise, and three quarters of all
        /// at most. Further opening segments are answered by SYN cookies, of which nothing is kept (RFC
        /// 4987, 3.6).
        pub fn backlog(mut self, half_open: u32) -> Self {
            self.settings.backlog = half_open;
            self
        }
    };
}

/// The methods of a builder that has [`UdpSettings`](crate::UdpSettings).
#[doc(hidden)]
#[macro_export]
macro_rules! datagram_settings {
    () => {
        /// Received datagrams that may wait for the handler, 32 unless said otherwise, and bytes of
        /// the send queue, 16 KiB unless said otherwise.
        pub fn buffers(mut self, datagrams: u16, send: usize) -> Self {
            (self.settings.receive_queue, self.settings.send_buffer) = (datagrams, send);
            self
        }
    };
}

/// The priority, of a builder that has `settings` alone: the facade's knows its context's.
macro_rules! priority_setting {
    () => {
        /// The priority of all work for it: protocol and handlers.
        pub fn priority(mut self, priority: $crate::Priority) -> Self {
            self.settings.priority = priority;
            self
        }
    };
}
