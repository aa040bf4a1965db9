//! Pointers of C: checked for null, alignment and size before they are followed.

use crate::status::{Failure, fd_status::*};
use core::ffi::{CStr, c_char};
use core::fmt;
use core::ptr;
use core::slice;

/// The most bytes that an object has.
const MOST_BYTES: usize = isize::MAX.unsigned_abs();

/// The most bytes that a structure says it has. A larger number was never set.
const MOST_STRUCT_BYTES: usize = 4096;

/// Whether a pointer may be followed, as far as its address tells.
pub(crate) fn check<T>(pointer: *const T, name: impl fmt::Display) -> Result<(), Failure> {
    if pointer.is_null() {
        return Err(Failure::of(name, FD_ERROR_NULL, "expected a pointer, found null"));
    }
    if !pointer.is_aligned() {
        let (expected, found) = (align_of::<T>(), pointer.addr());
        let text = format!("expected an address that is a multiple of {expected}, found {found:#x}");
        return Err(Failure::of(name, FD_ERROR_MISALIGNED, text));
    }
    Ok(())
}

/// The place of one value that a call writes when all else is done, or none where it is null.
pub(crate) struct Place<T>(*mut T);

impl<T> Place<T> {
    /// A place that a caller who does not want the value leaves out.
    ///
    /// # Safety
    /// The pointer is null, or valid for a write until the value is written.
    pub(crate) unsafe fn optional(pointer: *mut T, name: impl fmt::Display) -> Result<Self, Failure> {
        if !pointer.is_null() {
            check(pointer, name)?;
        }
        Ok(Self(pointer))
    }

    /// A place that is needed.
    ///
    /// # Safety
    /// As [`optional`](Self::optional).
    pub(crate) unsafe fn needed(pointer: *mut T, name: impl fmt::Display) -> Result<Self, Failure> {
        check(pointer, name)?;
        Ok(Self(pointer))
    }

    pub(crate) fn write(self, value: T) {
        if !self.0.is_null() {
            // SAFETY: neither null nor misaligned; the caller of the constructor vouches for the rest.
            unsafe { self.0.write(value) };
        }
    }
}

/// One value that may be left out.
///
/// # Safety
/// The pointer is null, or valid for a read.
pub(crate) unsafe fn value<T: Copy>(pointer: *const T, name: impl fmt::Display) -> Result<Option<T>, Failure> {
    if pointer.is_null() {
        return Ok(None);
    }
    check(pointer, name)?;
    // SAFETY: neither null nor misaligned; the caller vouches for the rest.
    Ok(Some(unsafe { *pointer }))
}

/// Whether so many elements may stand there, as far as address and number tell.
pub(crate) fn check_array<T>(data: *const T, len: usize, name: impl fmt::Display + Copy) -> Result<(), Failure> {
    if len == 0 {
        return Ok(());
    }
    check(data, name)?;
    match len.checked_mul(size_of::<T>()) {
        Some(bytes) if bytes <= MOST_BYTES => Ok(()),
        _ => Err(Failure::of(name, FD_ERROR_SHAPE, format!("expected elements that fit memory, found {len}"))),
    }
}

/// The elements of an array. An empty one has any address, null too.
///
/// # Safety
/// `data` is null, or valid for reads of `len` elements during `'a`, and nobody writes there.
pub(crate) unsafe fn array<'a, T>(
    data: *const T,
    len: usize,
    name: impl fmt::Display + Copy,
) -> Result<&'a [T], Failure> {
    check_array(data, len, name)?;
    if len == 0 {
        return Ok(&[]);
    }
    // SAFETY: neither null nor misaligned, and no larger than an object can be; the caller vouches for the rest.
    Ok(unsafe { slice::from_raw_parts(data, len) })
}

/// The elements of an array to be written.
///
/// # Safety
/// `data` is null, or valid for reads and writes of `len` elements during `'a`, and nobody else uses them.
pub(crate) unsafe fn array_mut<'a, T>(
    data: *mut T,
    len: usize,
    name: impl fmt::Display + Copy,
) -> Result<&'a mut [T], Failure> {
    check_array(data, len, name)?;
    if len == 0 {
        return Ok(&mut []);
    }
    // SAFETY: as in `array`.
    Ok(unsafe { slice::from_raw_parts_mut(data, len) })
}

/// A text of C.
///
/// # Safety
/// The pointer is null, or one to a text that ends with a NUL and that nobody changes during `'a`.
pub(crate) unsafe fn bytes<'a>(text: *const c_char, name: impl fmt::Display) -> Result<&'a CStr, Failure> {
    check(text, name)?;
    // SAFETY: not null; the caller vouches for the rest.
    Ok(unsafe { CStr::from_ptr(text) })
}

/// A text of C that is UTF-8.
///
/// # Safety
/// As [`bytes`].
pub(crate) unsafe fn text<'a>(text: *const c_char, name: impl fmt::Display + Copy) -> Result<&'a str, Failure> {
    // SAFETY: the caller vouches for it.
    let bytes = unsafe { bytes(text, name)? };
    bytes.to_str().map_err(|_| Failure::of(name, FD_ERROR_TEXT, format!("expected UTF-8, found {bytes:?}")))
}

/// A structure that begins with its own size, and so can grow: fields are added behind the last one, and a caller who was
/// compiled before says so by a smaller size.
///
/// # Safety
/// The structure is `repr(C)`, begins with `size: usize`, and whatever C can write into its fields is a value of their types:
/// numbers and pointers, no `bool`, enumeration or reference. `SIZES` are the sizes that it has had, each the end of a field,
/// the last one its own.
pub(crate) unsafe trait Versioned: Copy {
    const SIZES: &'static [usize];

    /// The values of fields that a caller does not know.
    fn new() -> Self;
}

/// The size that a structure says it has.
///
/// # Safety
/// The pointer is null, or valid for reads of the size.
unsafe fn size_of_struct<T: Versioned>(pointer: *const T, name: impl fmt::Display + Copy) -> Result<usize, Failure> {
    check(pointer, name)?;
    // SAFETY: neither null nor misaligned, and the first field is the size.
    let found = unsafe { *pointer.cast::<usize>() };
    let is_known = T::SIZES.contains(&found) || (size_of::<T>()..=MOST_STRUCT_BYTES).contains(&found);
    if is_known {
        return Ok(found);
    }
    let text = format!("expected a structure whose size is set to {}, found {found}", size_of::<T>());
    Err(Failure::of(name, FD_ERROR_STRUCT_SIZE, text))
}

/// A structure with options, of this version or of another: fields that the caller does not know have their usual values,
/// and fields that only the caller knows must be zero.
///
/// # Safety
/// The pointer is null, or valid for reads of as many bytes as the structure says it has.
pub(crate) unsafe fn options<T: Versioned>(pointer: *const T, name: impl fmt::Display + Copy) -> Result<T, Failure> {
    // SAFETY: the caller vouches for it.
    let size = unsafe { size_of_struct(pointer, name)? };
    let known = size.min(size_of::<T>());
    let mut options = T::new();
    // SAFETY: both are valid for that many bytes; `T` is plain numbers and pointers, whatever is copied.
    unsafe { ptr::copy_nonoverlapping(pointer.cast::<u8>(), (&raw mut options).cast::<u8>(), known) };
    // SAFETY: the structure is as long as it says.
    let rest = unsafe { slice::from_raw_parts(pointer.cast::<u8>().add(known), size - known) };
    if rest.iter().any(|&byte| byte != 0) {
        let text = format!("expected zeros behind the {known} bytes that this version knows, found others");
        return Err(Failure::of(name, FD_ERROR_STRUCT_SIZE, text));
    }
    Ok(options)
}

/// The place of a structure that a call fills: as many of its fields as the caller knows, and zeros behind those that this
/// version knows. Its size stays.
pub(crate) struct Answer<T> {
    pointer: *mut T,
    size: usize,
}

impl<T: Versioned> Answer<T> {
    /// # Safety
    /// The pointer is null, or valid for reads and writes of as many bytes as the structure says it has, until the answer is
    /// written.
    pub(crate) unsafe fn new(pointer: *mut T, name: impl fmt::Display + Copy) -> Result<Self, Failure> {
        // SAFETY: the caller vouches for it.
        Ok(Self { pointer, size: unsafe { size_of_struct(pointer, name)? } })
    }

    pub(crate) fn write(self, answer: &T) {
        let known = self.size.min(size_of::<T>());
        let (first, place) = (size_of::<usize>(), self.pointer.cast::<u8>());
        // SAFETY: `new` has found the place to be as long as it says, and its caller vouches for it; behind the size, which
        // stays, the fields of both are at the same places.
        unsafe {
            ptr::copy_nonoverlapping(ptr::from_ref(answer).cast::<u8>().add(first), place.add(first), known - first);
            ptr::write_bytes(place.add(known), 0, self.size - known);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As of the second version: the first had no `new`.
    #[repr(C)]
    #[derive(Clone, Copy, Debug, PartialEq)]
    struct Options {
        size: usize,
        old: u64,
        new: u64,
    }

    // SAFETY: numbers, the first of them the size; `old` ends behind 8 bytes more than the size.
    unsafe impl Versioned for Options {
        const SIZES: &'static [usize] = &[size_of::<usize>() + 8, size_of::<Self>()];

        fn new() -> Self {
            Self { size: size_of::<Self>(), old: 1, new: 2 }
        }
    }

    #[repr(C)]
    struct Future {
        known: Options,
        unknown: u64,
    }

    #[test]
    fn older_and_newer_callers_are_understood() {
        let read = |place: &Future| {
            // SAFETY: the place is as long as its largest size.
            unsafe { options((&raw const *place).cast::<Options>(), "options") }
        };
        let mut place = Future { known: Options { size: 0, old: 5, new: 6 }, unknown: 0 };
        for (size, new) in [(Options::SIZES[0], 2), (Options::SIZES[1], 6), (size_of::<Future>(), 6)] {
            place.known.size = size;
            let found = read(&place).expect("options");
            assert_eq!((found.old, found.new), (5, new));
        }
        place.unknown = 1;
        assert_eq!(read(&place).expect_err("an unknown option").status, FD_ERROR_STRUCT_SIZE);
        for size in [0, 1, Options::SIZES[0] + 1, MOST_STRUCT_BYTES + 1, usize::MAX] {
            place.known.size = size;
            assert_eq!(read(&place).expect_err("no such size").status, FD_ERROR_STRUCT_SIZE);
        }
    }

    #[test]
    fn an_answer_writes_what_the_caller_knows() {
        let answer = Options { size: 99, old: 5, new: 6 };
        for (size, new, unknown) in [(Options::SIZES[0], 8, 9), (Options::SIZES[1], 6, 9), (size_of::<Future>(), 6, 0)]
        {
            let mut place = Future { known: Options { size, old: 7, new: 8 }, unknown: 9 };
            // SAFETY: the place is as long as its largest size.
            let to = unsafe { Answer::new((&raw mut place).cast::<Options>(), "answer") }.expect("a place");
            to.write(&answer);
            assert_eq!((place.known, place.unknown), (Options { size, old: 5, new }, unknown));
        }
    }

    #[test]
    fn arrays_are_checked_before_they_are_made() {
        let data = [1_u32, 2];
        let odd = data.as_ptr().cast::<u8>().wrapping_add(1).cast::<u32>();
        // SAFETY: each is refused, empty or valid.
        unsafe {
            assert!(array(ptr::null::<u32>(), 0, "x").expect("empty").is_empty());
            assert_eq!(array(data.as_ptr(), 2, "x").expect("two"), [1, 2]);
            assert_eq!(array(ptr::null::<u32>(), 1, "x").expect_err("null").status, FD_ERROR_NULL);
            assert_eq!(array(odd, 1, "x").expect_err("odd").status, FD_ERROR_MISALIGNED);
            assert_eq!(array(data.as_ptr(), usize::MAX / 2, "x").expect_err("large").status, FD_ERROR_SHAPE);
            assert_eq!(array_mut(odd.cast_mut(), 1, "x").expect_err("odd").status, FD_ERROR_MISALIGNED);
            assert_eq!(Place::optional(odd.cast_mut(), "x").err().expect("odd").status, FD_ERROR_MISALIGNED);
            assert_eq!(Place::needed(ptr::null_mut::<u32>(), "x").err().expect("null").status, FD_ERROR_NULL);
            Place::optional(ptr::null_mut(), "x").expect("none").write(1_u32);
            let mut written = 0;
            Place::needed(&raw mut written, "x").expect("a place").write(3);
            assert_eq!(written, 3);
            assert_eq!(value(odd, "x").expect_err("odd").status, FD_ERROR_MISALIGNED);
            assert_eq!(value(&raw const data[1], "x").expect("one"), Some(2));
        }
    }

    #[test]
    fn texts_are_checked() {
        // SAFETY: static texts, and null.
        unsafe {
            assert_eq!(text(c"relu".as_ptr(), "x").expect("a text"), "relu");
            let failure = text(c"\xff".as_ptr(), "x").expect_err("no UTF-8");
            assert_eq!((failure.status, &*failure.text), (FD_ERROR_TEXT, "x: expected UTF-8, found \"\\xff\""));
            assert_eq!(text(ptr::null(), "x").expect_err("null").status, FD_ERROR_NULL);
        }
    }
}
