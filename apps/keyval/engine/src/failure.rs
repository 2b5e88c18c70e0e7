//! Why a command was refused, and why a connection is not understood any more.

use core::fmt;

/// Why a command was refused. The sentence is what the client is told, behind a word that says of what kind the
/// error is: clients know these texts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Failure {
    /// There is no memory for what the command would store, and nothing that may be evicted.
    OutOfMemory,
    /// There is no memory for the command's reply. Nothing has changed.
    ReplyTooLarge,
    /// There is no such command.
    UnknownCommand,
    /// The command has more or fewer arguments than it takes.
    Arguments(&'static str),
    /// There is no such subcommand.
    Subcommand(&'static str),
    /// The arguments are not as the command takes them.
    Syntax,
    /// An argument, or a value, is no number of 64 bits.
    NotInteger,
    /// The sum would be no number of 64 bits.
    Overflow,
    /// A time to live is not above zero, or too far away.
    ExpireTime(&'static str),
    /// The key is longer than [`LONGEST_KEY`](crate::LONGEST_KEY).
    KeyTooLong,
    /// An argument that is no value is longer than [`LONGEST_KEY`](crate::LONGEST_KEY).
    ArgumentTooLong,
    /// The value would be longer than 8 MiB.
    ValueTooLong,
    /// There is one database, of number 0.
    DatabaseNumber,
    /// Another version of the protocol than 2 is asked for.
    ProtocolVersion,
    /// The cursor is none.
    Cursor,
    /// There is no such setting, or it cannot be set.
    Setting,
    /// The setting has no such value.
    SettingValue,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Arguments(name) => {
                return write!(f, "ERR wrong number of arguments for '{name}' command");
            }
            Self::Subcommand(name) => return write!(f, "ERR unknown subcommand of '{name}'"),
            Self::ExpireTime(name) => {
                return write!(f, "ERR invalid expire time in '{name}' command");
            }
            Self::UnknownCommand => "ERR unknown command",
            Self::OutOfMemory => "OOM command not allowed when used memory > 'maxmemory'.",
            Self::ReplyTooLarge => "OOM there is no memory for the reply",
            Self::Syntax => "ERR syntax error",
            Self::NotInteger => "ERR value is not an integer or out of range",
            Self::Overflow => "ERR increment or decrement would overflow",
            Self::KeyTooLong => "ERR key is longer than 4000 bytes",
            Self::ArgumentTooLong => "ERR argument is longer than 4000 bytes",
            Self::ValueTooLong => "ERR string exceeds maximum allowed size (8388608 bytes)",
            Self::DatabaseNumber => "ERR DB index is out of range",
            Self::ProtocolVersion => "NOPROTO unsupported protocol version",
            Self::Cursor => "ERR invalid cursor",
            Self::Setting => "ERR no such setting, or it cannot be set",
            Self::SettingValue => "ERR the setting has no such value",
        })
    }
}

impl core::error::Error for Failure {}

/// Most that is repeated of what was sent.
const REPEATED: usize = 64;

/// [`Failure::UnknownCommand`], with its name.
pub(crate) struct Unknown<'a>(pub(crate) &'a [u8]);

impl fmt::Display for Unknown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = &self.0[..self.0.len().min(REPEATED)];
        write!(f, "{} '{}'", Failure::UnknownCommand, name.escape_ascii())
    }
}

/// Why what a peer sends is no RESP. What was sent before is answered, the peer is told, and the connection is
/// closed: where the next command begins cannot be known any more.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ProtocolError {
    /// The number of arguments is none, or above 1,048,576.
    ArgumentCount,
    /// The length of an argument is none, or above 8 MiB.
    ArgumentLength,
    /// The number of arguments is not ended in time.
    LongCount,
    /// The length of an argument is not ended in time.
    LongLength,
    /// An argument does not begin with `$`.
    NotBulk(u8),
    /// An argument is longer or shorter than it says: there is no end of line behind it.
    WrongLength,
    /// An inline command is longer than 64 KiB.
    LongInline,
    /// A quotation mark of an inline command has no partner.
    Quotes,
}

impl fmt::Display for ProtocolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::NotBulk(found) => {
                let found = found.escape_ascii();
                return write!(f, "ERR Protocol error: expected '$', got '{found}'");
            }
            Self::ArgumentCount => "invalid multibulk length",
            Self::ArgumentLength => "invalid bulk length",
            Self::LongCount => "too big mbulk count string",
            Self::LongLength => "too big bulk count string",
            Self::WrongLength => "expected an end of line behind an argument",
            Self::LongInline => "too big inline request",
            Self::Quotes => "unbalanced quotes in request",
        };
        write!(f, "ERR Protocol error: {text}")
    }
}

impl core::error::Error for ProtocolError {}
