//! `cargo xtask model`: the protocol of the threads under the model checker loom, in every order of events that it can tell
//! apart.

use crate::workspace;
use anyhow::ensure;

/// Runs the models, as tests are built: what they do not use is not optimised.
///
/// # Errors
/// Where they do not compile, or an order of events breaks the protocol.
pub fn main() -> anyhow::Result<()> {
    let mut test = workspace::cargo();
    test.env("RUSTFLAGS", "--cfg loom").env("CARGO_TARGET_DIR", workspace::target().join("loom"));
    test.args(["test", "--package", "fused-dense", "--locked", "--lib", "job"]);
    ensure!(test.status()?.success(), "the models did not pass");
    Ok(())
}
