//! How ways to be refused are named: an enum with a sentence each.

/// Makes the enum: each name, what it means, and its sentence.
macro_rules! refusals {
    (
        $(#[$what:meta])* enum $enum:ident;
        $($(#[$doc:meta])* $name:ident: $text:literal,)*
    ) => {
        $(#[$what])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        #[repr(u8)]
        pub enum $enum {
            $($(#[$doc])* $name,)*
        }

        impl $enum {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];
        }

        impl core::fmt::Display for $enum {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.write_str(match self {
                    $(Self::$name => $text,)*
                })
            }
        }
    };
}

pub(crate) use refusals;
