//! Closed sets of codes: words that tools and people may rely on.

/// An enum whose variants are their own names, with `ALL` of them and `name`. Variants
/// and names cannot drift apart, and what is exhaustive over `ALL` stays so.
#[macro_export]
macro_rules! codes {
    ($(#[$about:meta])* $visible:vis enum $Name:ident { $($(#[$doc:meta])* $Code:ident,)+ }) => {
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        $visible enum $Name { $($(#[$doc])* $Code,)+ }

        impl $Name {
            /// Every code, in the order of the documentation.
            pub const ALL: &'static [Self] = &[$(Self::$Code,)+];

            /// The code as it is written everywhere.
            pub fn name(self) -> &'static str {
                match self { $(Self::$Code => stringify!($Code),)+ }
            }
        }
    };
}
