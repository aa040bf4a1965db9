//! Versions.

use core::ffi::c_char;

/// The version of the binary interface that this header describes. Programs may compare it with fd_abi_version().
///
/// It is also the number in the shared library's name. Within one version functions, values and fields are added, and none
/// is changed or taken away.
pub const FD_ABI_VERSION: u32 = 1;

/// The version of the binary interface of the library that runs.
///
/// Threads: any number at once.
#[unsafe(no_mangle)]
pub extern "C" fn fd_abi_version() -> u32 {
    FD_ABI_VERSION
}

/// The version of the library, such as "0.1.0". Never null, and valid for ever.
///
/// Threads: any number at once.
#[unsafe(no_mangle)]
pub extern "C" fn fd_version() -> *const c_char {
    concat!(env!("CARGO_PKG_VERSION"), "\0").as_ptr().cast()
}
