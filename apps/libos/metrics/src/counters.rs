//! Structures of plain numbers that one owner counts, as metrics.

/// Declares a structure of numbers (`u64`), each a metric: its name is the prefix and the field's name, with `_total`
/// for a counter, and its documentation is the metric's help.
///
/// ```
/// reflex_metrics::counters! {
///     /// What a mill has done.
///     #[derive(Clone, Copy, Default)]
///     pub struct Milled prefixed "reflex_mill_" {
///         /// Sacks ground.
///         counter sacks,
///         /// Sacks that wait.
///         gauge waiting,
///     }
/// }
/// let milled = Milled { sacks: 2, waiting: 1 };
/// let mut names = Vec::new();
/// milled.each(&mut |sample| names.push(sample.name));
/// assert_eq!(names, ["reflex_mill_sacks_total", "reflex_mill_waiting"]);
/// ```
#[macro_export]
macro_rules! counters {
    (
        $(#[$about:meta])*
        $visible:vis struct $name:ident prefixed $prefix:literal {
            $($(#[doc = $help:literal])+ $kind:ident $field:ident,)*
        }
    ) => {
        $(#[$about])*
        $visible struct $name {
            $($(#[doc = $help])+ pub $field: u64,)*
        }

        impl $name {
            /// Tells each number as a metric.
            $visible fn each(&self, tell: &mut dyn FnMut($crate::Sample)) {
                const DESCRIPTIONS: &[$crate::Description] = &[
                    $($crate::counters!(@ $kind $prefix, $field, concat!($($help),+)),)*
                ];
                let numbers = [$(self.$field),*];
                let described = DESCRIPTIONS.iter().zip(numbers);
                described.for_each(|(description, number)| tell(description.number(number)));
            }
        }
    };
    (@ counter $prefix:literal, $field:ident, $help:expr) => {
        $crate::Description::system(
            concat!($prefix, stringify!($field), "_total"), $help, $crate::Kind::Counter,
        )
    };
    (@ gauge $prefix:literal, $field:ident, $help:expr) => {
        $crate::Description::system(
            concat!($prefix, stringify!($field)), $help, $crate::Kind::Gauge,
        )
    };
}
