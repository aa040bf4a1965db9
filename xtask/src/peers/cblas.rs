//! Any library with the C interface of BLAS: OpenBLAS, MKL, BLIS.

use super::library::{candidates, first, function, open};
use super::unfused::{self, Factor};
use fused_dense::Isa;
use libloading::Library;
use std::ffi::{CStr, c_char, c_int};
use std::path::Path;

const ROW_MAJOR: c_int = 101;
const NO_TRANSPOSE: c_int = 111;
const TRANSPOSE: c_int = 112;

/// `cblas_sgemm`: order, transpositions, `m n k`, `alpha`, `a lda`, `b ldb`, `beta`, `c ldc`.
type CblasSgemm = unsafe extern "C" fn(
    c_int,
    c_int,
    c_int,
    c_int,
    c_int,
    c_int,
    f32,
    *const f32,
    c_int,
    *const f32,
    c_int,
    f32,
    *mut f32,
    c_int,
);

/// The known facts about one library.
struct Known {
    name: &'static str,
    /// Whether a variable of the environment tells it which instruction set to use.
    heeds_environment: bool,
    files: &'static [&'static str],
}

/// The libraries that are looked for.
const KNOWN: [Known; 3] = [
    Known {
        name: "openblas",
        heeds_environment: true,
        files: &["libscipy_openblas.so", "libopenblas.so.0", "libopenblas.so"],
    },
    Known { name: "mkl", heeds_environment: true, files: &["libmkl_rt.so.3", "libmkl_rt.so.2", "libmkl_rt.so"] },
    Known { name: "blis", heeds_environment: false, files: &["libblis.so.4", "libblis-mt.so.5", "libblis.so"] },
];

/// A loaded library.
pub struct Cblas {
    pub name: String,
    pub version: String,
    pub sgemm: Sgemm,
}

/// Its matrix product.
pub struct Sgemm {
    sgemm: CblasSgemm,
    heeds_environment: bool,
    set_threads: Option<SetThreads>,
}

/// How many threads it may use, as a C `int` or as BLIS's 64-bit integer.
enum SetThreads {
    Int(unsafe extern "C" fn(c_int)),
    Dim(unsafe extern "C" fn(i64)),
}

/// One library's name, with what kept it from being loaded.
pub type Looked = (String, anyhow::Result<Cblas>);

/// Looks for the libraries that we know.
pub fn known() -> Vec<Looked> {
    let look = |known: &Known| {
        first(&candidates(known.files), |path| Cblas::new(known.name, known.heeds_environment, open(path)?))
    };
    KNOWN.iter().map(|known| (known.name.to_string(), look(known))).collect()
}

/// Loads the library at a path.
///
/// # Errors
/// Where there is none, or none with `cblas_sgemm`.
pub fn at(path: &Path) -> anyhow::Result<Cblas> {
    let library = open(path)?;
    let name = path.file_name().map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into_owned());
    Cblas::new(&name, false, library)
}

impl Cblas {
    fn new(name: &str, heeds_environment: bool, library: &'static Library) -> anyhow::Result<Self> {
        // SAFETY: these are the functions' types in the libraries' headers; SciPy's OpenBLAS prefixes its names.
        unsafe {
            let sgemm = function(library, "cblas_sgemm").or_else(|_| function(library, "scipy_cblas_sgemm"))?;
            let int_setters = ["openblas_set_num_threads", "scipy_openblas_set_num_threads", "MKL_Set_Num_Threads"];
            let set_threads = int_setters.iter().find_map(|name| function(library, name).ok()).map(SetThreads::Int);
            let set_threads =
                set_threads.or_else(|| function(library, "bli_thread_set_num_threads").ok().map(SetThreads::Dim));
            let version = version(library).unwrap_or_default();
            Ok(Self { name: name.into(), version, sgemm: Sgemm { sgemm, heeds_environment, set_threads } })
        }
    }
}

/// The library's words about itself: version, and the kernels that it chose.
fn version(library: &'static Library) -> Option<String> {
    type Text = unsafe extern "C" fn() -> *const c_char;
    // SAFETY: these are the functions' types in the libraries' headers; each returns a string that lives on.
    unsafe {
        for prefix in ["", "scipy_"] {
            let config = function::<Text>(library, &format!("{prefix}openblas_get_config"));
            let core = function::<Text>(library, &format!("{prefix}openblas_get_corename"));
            if let (Ok(config), Ok(core)) = (config, core) {
                let number = text(config())?.split_whitespace().nth(1)?.to_string();
                return Some(format!("{number} ({} kernels)", text(core())?));
            }
        }
        if let Ok(version) = function::<unsafe extern "C" fn(*mut c_char, c_int)>(library, "mkl_get_version_string") {
            let mut buffer = [0 as c_char; 256];
            version(buffer.as_mut_ptr(), 255);
            let full = text(buffer.as_ptr())?;
            let number = full.split("Version ").nth(1)?;
            return Some(format!("{} (does not tell its kernels)", number.split(['-', ' ']).next()?));
        }
        let number = text(function::<Text>(library, "bli_info_get_version_str").ok()?())?;
        let architecture = function::<unsafe extern "C" fn() -> c_int>(library, "bli_arch_query_id").ok()?();
        let name = function::<unsafe extern "C" fn(c_int) -> *const c_char>(library, "bli_arch_string").ok()?;
        Some(format!("{number} ({} kernels)", text(name(architecture))?))
    }
}

/// # Safety
/// The pointer must be null or lead to a C string.
unsafe fn text(pointer: *const c_char) -> Option<String> {
    // SAFETY: the caller's promise.
    (!pointer.is_null()).then(|| unsafe { CStr::from_ptr(pointer) }.to_string_lossy().into_owned())
}

impl unfused::Sgemm for Sgemm {
    fn sgemm(&self, _threads: usize, alpha: f32, a: Factor<'_>, b: Factor<'_>, beta: f32, c: &mut [f32]) {
        let (m, k, n) = (a.rows, a.cols, b.cols);
        assert!(b.rows == k && c.len() == m * n);
        let ((transpose_a, lda), (transpose_b, ldb)) = (layout(a), layout(b));
        let int = |size: usize| c_int::try_from(size).expect("layers are smaller than 2³¹");
        // SAFETY: the factors' strides stay inside their slices, and `c` is a row-major `m × n` slice of its own.
        unsafe {
            (self.sgemm)(
                ROW_MAJOR,
                transpose_a,
                transpose_b,
                int(m),
                int(n),
                int(k),
                alpha,
                a.data.as_ptr(),
                lda,
                b.data.as_ptr(),
                ldb,
                beta,
                c.as_mut_ptr(),
                int(n),
            );
        }
    }

    fn set_threads(&self, threads: usize) {
        // SAFETY: both functions take any positive number.
        match self.set_threads {
            Some(SetThreads::Int(set)) => unsafe { set(threads as c_int) },
            Some(SetThreads::Dim(set)) => unsafe { set(threads as i64) },
            None => {}
        }
    }

    fn has_own_threads(&self) -> bool {
        true
    }

    fn is_held_to(&self, isa: Isa) -> bool {
        super::is_best(isa) || self.heeds_environment
    }
}

/// Whether a factor is stored transposed, and the distance of its stored rows.
fn layout(factor: Factor<'_>) -> (c_int, c_int) {
    if factor.is_row_major() {
        (NO_TRANSPOSE, factor.row_stride as c_int)
    } else {
        (TRANSPOSE, factor.col_stride as c_int)
    }
}
