#![allow(non_camel_case_types)]
/// Status doc.
///
/// # Safety
/// More.
#[repr(i32)]
pub enum fd_status { /// fine
Ok = 0, /// null
ErrorNull = 1 }
/// Act.
#[repr(i32)]
pub enum fd_activation { /// id
Identity = 0, LeakyRelu = 4 }
pub type fd_activation_code = i32;
pub struct fd_dense(i32);
#[repr(C)] pub struct fd_opts { /// Bytes.
 pub size: usize, pub act: fd_activation_code, pub dense: *const fd_dense, pub state: [*const f32; 2] }
/// Callback.
pub type fd_cost_fn = Option<unsafe extern "C" fn(user: *mut core::ffi::c_void, a: *const f32) -> f64>;
/// The version of the binary interface.
pub const FD_ABI_VERSION: u32 = 1;
#[unsafe(no_mangle)] pub unsafe extern "C" fn fd_new(o: *const fd_opts, out: *mut *mut fd_dense, act: fd_activation_code, name: *const core::ffi::c_char, f: fd_cost_fn) -> fd_status { fd_status::Ok }
