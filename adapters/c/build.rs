//! The name by which programs find the shared library: it holds the version of the binary interface, so that an incompatible
//! library is not taken for the one that a program was linked with.

fn main() {
    println!("cargo:rerun-if-changed=src/version.rs");
    let source = std::fs::read_to_string("src/version.rs").expect("a source");
    let abi = source
        .split("FD_ABI_VERSION: u32 = ")
        .nth(1)
        .and_then(|rest| rest.split(';').next())
        .and_then(|number| number.parse::<u32>().ok())
        .expect("the version of the binary interface");
    let is = |name: &str, value: &str| std::env::var(name).is_ok_and(|found| found == value);
    if is("CARGO_CFG_TARGET_VENDOR", "apple") {
        println!("cargo:rustc-cdylib-link-arg=-Wl,-install_name,@rpath/libfused_dense.{abi}.dylib");
    } else if is("CARGO_CFG_TARGET_FAMILY", "unix") {
        println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,libfused_dense.so.{abi}");
    }
}
