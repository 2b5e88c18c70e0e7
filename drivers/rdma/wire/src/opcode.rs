//! The opcode table: which transport, which operation, where in the message, which headers.

use crate::Layout;

/// The service a queue pair offers; the top three bits of the opcode.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
pub enum Transport {
    /// RC: reliable connection.
    Reliable = 0,
    /// UC: unreliable connection.
    Unreliable = 1,
    /// UD: unreliable datagram.
    Datagram = 3,
}

/// What a packet does.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
pub enum Operation {
    /// A request: bytes for a posted receive.
    Send,
    /// A request: bytes for the responder's memory.
    Write,
    /// A request for bytes of the responder's memory.
    ReadRequest,
    /// The bytes.
    ReadResponse,
    /// The answer to requests that have no response of their own.
    Acknowledge,
    /// The answer to an atomic request.
    AtomicAcknowledge,
    /// A request: swap if equal.
    CompareSwap,
    /// A request: add.
    FetchAdd,
}

/// Where in its message a packet stands.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
pub enum Position {
    /// More follow.
    First,
    /// Some came, more follow.
    Middle,
    /// The end.
    Last,
    /// The whole message.
    Only,
}

impl Position {
    /// Whether a message begins with it.
    #[inline]
    pub const fn begins(self) -> bool {
        matches!(self, Self::First | Self::Only)
    }

    /// Whether a message ends with it.
    #[inline]
    pub const fn ends(self) -> bool {
        matches!(self, Self::Last | Self::Only)
    }
}

/// What the last packet of a send or write carries beside the payload.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Notice {
    /// Nothing.
    None,
    /// Immediate data.
    Immediate,
    /// A key to invalidate.
    Invalidate,
}

/// How long a packet's payload is, by its position (IBA volume 1, 9.7).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum PayloadRule {
    /// There is none.
    None,
    /// Exactly one path MTU.
    Full,
    /// 1 byte to one path MTU.
    Rest,
    /// Nothing to one path MTU.
    Any,
}

macro_rules! opcodes {
    ($($(#[$doc:meta])* $name:ident = $bits:literal: $transport:ident $operation:ident $position:ident $layout:ident;)*) => {
        /// Every opcode that RC, UC and UD have (IBA volume 1, table of operation codes).
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        #[repr(u8)]
        pub enum Opcode {
            $($(#[$doc])* $name = $bits,)*
        }

        impl Opcode {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];
        }

        const OPCODES: &[Option<Opcode>; 256] = &{
            let mut table = [None; 256];
            $(table[$bits] = Some(Opcode::$name);)*
            table
        };

        const ENTRIES: &[Entry; 256] = &{
            let mut table = [Entry {
                transport: Transport::Reliable,
                operation: Operation::Send,
                position: Position::Only,
                layout: Layout::None,
            }; 256];
            $(table[$bits] = Entry {
                transport: Transport::$transport,
                operation: Operation::$operation,
                position: Position::$position,
                layout: Layout::$layout,
            };)*
            table
        };
    };
}

/// What the table says of an opcode.
#[derive(Clone, Copy)]
struct Entry {
    transport: Transport,
    operation: Operation,
    position: Position,
    layout: Layout,
}

opcodes! {
    /// RC SEND first.
    RcSendFirst = 0x00: Reliable Send First None;
    /// RC SEND middle.
    RcSendMiddle = 0x01: Reliable Send Middle None;
    /// RC SEND last.
    RcSendLast = 0x02: Reliable Send Last None;
    /// RC SEND last with immediate.
    RcSendLastImmediate = 0x03: Reliable Send Last Immediate;
    /// RC SEND only.
    RcSendOnly = 0x04: Reliable Send Only None;
    /// RC SEND only with immediate.
    RcSendOnlyImmediate = 0x05: Reliable Send Only Immediate;
    /// RC RDMA WRITE first.
    RcWriteFirst = 0x06: Reliable Write First Reth;
    /// RC RDMA WRITE middle.
    RcWriteMiddle = 0x07: Reliable Write Middle None;
    /// RC RDMA WRITE last.
    RcWriteLast = 0x08: Reliable Write Last None;
    /// RC RDMA WRITE last with immediate.
    RcWriteLastImmediate = 0x09: Reliable Write Last Immediate;
    /// RC RDMA WRITE only.
    RcWriteOnly = 0x0a: Reliable Write Only Reth;
    /// RC RDMA WRITE only with immediate.
    RcWriteOnlyImmediate = 0x0b: Reliable Write Only RethImmediate;
    /// RC RDMA READ request.
    RcReadRequest = 0x0c: Reliable ReadRequest Only Reth;
    /// RC RDMA READ response first.
    RcReadResponseFirst = 0x0d: Reliable ReadResponse First Aeth;
    /// RC RDMA READ response middle.
    RcReadResponseMiddle = 0x0e: Reliable ReadResponse Middle None;
    /// RC RDMA READ response last.
    RcReadResponseLast = 0x0f: Reliable ReadResponse Last Aeth;
    /// RC RDMA READ response only.
    RcReadResponseOnly = 0x10: Reliable ReadResponse Only Aeth;
    /// RC acknowledge.
    RcAcknowledge = 0x11: Reliable Acknowledge Only Aeth;
    /// RC atomic acknowledge.
    RcAtomicAcknowledge = 0x12: Reliable AtomicAcknowledge Only AethAtomicAck;
    /// RC compare and swap.
    RcCompareSwap = 0x13: Reliable CompareSwap Only Atomic;
    /// RC fetch and add.
    RcFetchAdd = 0x14: Reliable FetchAdd Only Atomic;
    /// RC SEND last with invalidate.
    RcSendLastInvalidate = 0x16: Reliable Send Last Invalidate;
    /// RC SEND only with invalidate.
    RcSendOnlyInvalidate = 0x17: Reliable Send Only Invalidate;
    /// UC SEND first.
    UcSendFirst = 0x20: Unreliable Send First None;
    /// UC SEND middle.
    UcSendMiddle = 0x21: Unreliable Send Middle None;
    /// UC SEND last.
    UcSendLast = 0x22: Unreliable Send Last None;
    /// UC SEND last with immediate.
    UcSendLastImmediate = 0x23: Unreliable Send Last Immediate;
    /// UC SEND only.
    UcSendOnly = 0x24: Unreliable Send Only None;
    /// UC SEND only with immediate.
    UcSendOnlyImmediate = 0x25: Unreliable Send Only Immediate;
    /// UC RDMA WRITE first.
    UcWriteFirst = 0x26: Unreliable Write First Reth;
    /// UC RDMA WRITE middle.
    UcWriteMiddle = 0x27: Unreliable Write Middle None;
    /// UC RDMA WRITE last.
    UcWriteLast = 0x28: Unreliable Write Last None;
    /// UC RDMA WRITE last with immediate.
    UcWriteLastImmediate = 0x29: Unreliable Write Last Immediate;
    /// UC RDMA WRITE only.
    UcWriteOnly = 0x2a: Unreliable Write Only Reth;
    /// UC RDMA WRITE only with immediate.
    UcWriteOnlyImmediate = 0x2b: Unreliable Write Only RethImmediate;
    /// UD SEND only.
    UdSendOnly = 0x64: Datagram Send Only Deth;
    /// UD SEND only with immediate.
    UdSendOnlyImmediate = 0x65: Datagram Send Only DethImmediate;
}

impl Opcode {
    /// The opcode of a packet's first byte; `None` where RC, UC and UD have none.
    #[inline]
    pub const fn from_bits(bits: u8) -> Option<Self> {
        OPCODES[bits as usize]
    }

    /// Its byte on the wire.
    #[inline]
    pub const fn bits(self) -> u8 {
        self as u8
    }

    #[inline]
    const fn entry(self) -> &'static Entry {
        &ENTRIES[self as usize]
    }

    /// Which transport has it.
    #[inline]
    pub const fn transport(self) -> Transport {
        self.entry().transport
    }

    /// What it does.
    #[inline]
    pub const fn operation(self) -> Operation {
        self.entry().operation
    }

    /// Where in its message it stands.
    #[inline]
    pub const fn position(self) -> Position {
        self.entry().position
    }

    /// Which extension headers follow the BTH.
    #[inline]
    pub const fn layout(self) -> Layout {
        self.entry().layout
    }

    /// What its last packet carries beside the payload.
    #[inline]
    pub const fn notice(self) -> Notice {
        match self.layout() {
            Layout::Immediate | Layout::RethImmediate | Layout::DethImmediate => Notice::Immediate,
            Layout::Invalidate => Notice::Invalidate,
            _ => Notice::None,
        }
    }

    /// Whether it goes from a requester to a responder.
    #[inline]
    pub const fn is_request(self) -> bool {
        !self.is_response()
    }

    /// Whether it goes from a responder back to the requester.
    #[inline]
    pub const fn is_response(self) -> bool {
        matches!(
            self.operation(),
            Operation::ReadResponse | Operation::Acknowledge | Operation::AtomicAcknowledge
        )
    }

    /// Whether a receive is consumed by the message it belongs to, once that ends.
    #[inline]
    pub const fn consumes_receive(self) -> bool {
        match self.operation() {
            Operation::Send => true,
            Operation::Write => matches!(self.notice(), Notice::Immediate),
            _ => false,
        }
    }

    /// Whether a responder answers it with a packet of its own kind, which acknowledges it, too.
    /// Other requests of a reliable connection are acknowledged when they ask for it.
    #[inline]
    pub const fn has_response(self) -> bool {
        matches!(
            self.operation(),
            Operation::ReadRequest | Operation::CompareSwap | Operation::FetchAdd
        )
    }

    /// Whether there may be payload.
    #[inline]
    pub const fn has_payload(self) -> bool {
        matches!(self.operation(), Operation::Send | Operation::Write | Operation::ReadResponse)
    }

    /// How long its payload has to be. Linux sends by that rule and takes what does not keep it.
    #[inline]
    pub const fn payload_rule(self) -> PayloadRule {
        match (self.has_payload(), self.position()) {
            (false, _) => PayloadRule::None,
            (true, Position::First | Position::Middle) => PayloadRule::Full,
            (true, Position::Last) => PayloadRule::Rest,
            (true, Position::Only) => PayloadRule::Any,
        }
    }

    /// The opcode of a send; `None` where the transport has none such.
    #[inline]
    pub const fn send(transport: Transport, position: Position, notice: Notice) -> Option<Self> {
        let code = match (position, notice) {
            (Position::First, Notice::None) => 0x00,
            (Position::Middle, Notice::None) => 0x01,
            (Position::Last, Notice::None) => 0x02,
            (Position::Last, Notice::Immediate) => 0x03,
            (Position::Only, Notice::None) => 0x04,
            (Position::Only, Notice::Immediate) => 0x05,
            (Position::Last, Notice::Invalidate) => 0x16,
            (Position::Only, Notice::Invalidate) => 0x17,
            (Position::First | Position::Middle, _) => return None,
        };
        Self::from_bits((transport as u8) << 5 | code)
    }

    /// The opcode of a write; `None` where the transport has none such.
    #[inline]
    pub const fn write(transport: Transport, position: Position, notice: Notice) -> Option<Self> {
        let code = match (position, notice) {
            (Position::First, Notice::None) => 0x06,
            (Position::Middle, Notice::None) => 0x07,
            (Position::Last, Notice::None) => 0x08,
            (Position::Last, Notice::Immediate) => 0x09,
            (Position::Only, Notice::None) => 0x0a,
            (Position::Only, Notice::Immediate) => 0x0b,
            _ => return None,
        };
        Self::from_bits((transport as u8) << 5 | code)
    }

    /// The opcode of a packet of a read response.
    #[inline]
    pub const fn read_response(position: Position) -> Self {
        match position {
            Position::First => Self::RcReadResponseFirst,
            Position::Middle => Self::RcReadResponseMiddle,
            Position::Last => Self::RcReadResponseLast,
            Position::Only => Self::RcReadResponseOnly,
        }
    }
}
