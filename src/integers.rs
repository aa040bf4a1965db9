//! Slices of whole numbers of several types, as classes and places come in.

use core::ops::Range;

/// A type of whole numbers that classes and the places of sparse rows come in: `u8`, `u16`, `u32`, `u64`, `usize`, `i32`
/// or `i64`.
///
/// ```
/// use fused_dense::{Classes, Integer};
///
/// fn count<I: Integer>(labels: &[I]) -> usize {
///     Classes::from(labels).len()
/// }
/// assert_eq!((count(&[0_u8, 1]), count(&[2_i64])), (2, 1));
/// ```
pub trait Integer: Copy + sealed::Kind {}

mod sealed {
    /// Says which of the types it is.
    pub trait Kind: Sized {
        #[doc(hidden)]
        #[allow(private_interfaces)]
        fn integers(integers: &[Self]) -> super::Integers<'_>;
    }
}

macro_rules! integers {
    ($($variant:ident: $number:ty,)*) => {
        /// A slice of one of the types.
        #[derive(Clone, Copy, Debug)]
        pub(crate) enum Integers<'a> {
            $($variant(&'a [$number]),)*
        }

        impl Integers<'_> {
            pub(crate) fn len(self) -> usize {
                match self {
                    $(Self::$variant(integers) => integers.len(),)*
                }
            }

            /// The number at a place, if it was found to be one that `usize` holds.
            #[inline]
            pub(crate) fn get(self, place: usize) -> usize {
                match self {
                    $(Self::$variant(integers) => integers[place] as usize,)*
                }
            }

            pub(crate) fn part(self, places: Range<usize>) -> Self {
                match self {
                    $(Self::$variant(integers) => Self::$variant(&integers[places]),)*
                }
            }

            pub(crate) fn number(self, place: usize) -> i128 {
                match self {
                    $(Self::$variant(integers) => integers[place] as i128,)*
                }
            }

            /// The first place whose number is negative, or not below the end.
            pub(crate) fn first_outside(self, end: usize) -> Option<usize> {
                match self {
                    $(Self::$variant(integers) => integers.iter().position(|&integer| {
                        usize::try_from(integer).map_or(true, |integer| integer >= end)
                    }),)*
                }
            }
        }

        $(
            impl Integer for $number {}

            impl sealed::Kind for $number {
                #[allow(private_interfaces)]
                fn integers(integers: &[Self]) -> Integers<'_> {
                    Integers::$variant(integers)
                }
            }
        )*
    };
}

integers! {
    U8: u8,
    U16: u16,
    U32: u32,
    U64: u64,
    Usize: usize,
    I32: i32,
    I64: i64,
}
