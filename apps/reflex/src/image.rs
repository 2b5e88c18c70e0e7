//! What `#[reflex::main]` makes of the function it is at.

/// The two functions that the image's start calls.
#[cfg(not(feature = "testing"))]
#[doc(hidden)]
#[macro_export]
macro_rules! __image {
    ($main:ident, $arguments:expr) => {
        const _: () = {
            #[allow(unsafe_code)]
            #[unsafe(no_mangle)]
            fn reflex_application(system: $crate::System) {
                $crate::__private::conclude(system, $main(system));
            }

            #[allow(unsafe_code)]
            #[unsafe(no_mangle)]
            fn reflex_arguments() -> &'static [$crate::Argument] {
                $arguments
            }
        };
    };
}

/// With the feature `testing` there is no image. Where Cargo builds a package's programs beside its tests, they
/// are programs of the host that say so.
#[cfg(feature = "testing")]
#[doc(hidden)]
#[macro_export]
macro_rules! __image {
    ($main:ident, $arguments:expr) => {
        const _: () = {
            const _: &[$crate::Argument] = $arguments;

            #[used]
            static _APPLICATION: fn($crate::System) =
                |system| $crate::__private::conclude(system, $main(system));
        };

        #[cfg(not(test))]
        const _: () = {
            #[allow(unsafe_code)]
            #[unsafe(no_mangle)]
            extern "C" fn main() -> i32 {
                $crate::testing::no_image()
            }
        };
    };
}
