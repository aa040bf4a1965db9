//! The project's tools; `cargo xtask help` lists them.

mod bench;
mod builds;
mod codegen;
mod coefficients;
mod curves;
mod data;
mod dependencies;
mod emulate;
mod files;
mod fuzz;
mod lockfile;
mod machine;
mod model;
mod peers;
mod placement;
mod release;
mod sanitize;
mod spills;
mod summary;
mod sweep;
mod toolchain;
mod tune;
mod ulp;
mod workspace;

use clap::Parser;

/// The project's tools.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
enum Task {
    Bench(Box<bench::Args>),
    /// Build the library in the ways that its users do
    Builds(builds::Args),
    /// Print the kernel table that build.rs generates
    Codegen,
    /// Derive the constants of the activations and compare them with the source
    Coefficients,
    /// Fetch a data set for the examples
    #[command(subcommand)]
    Data(data::Set),
    /// Check what the library depends on
    Dependencies(dependencies::Args),
    Curves(curves::Args),
    /// Test the NEON kernels on an emulated aarch64
    Emulate,
    /// Load saved networks into PyTorch and compare what they predict
    Files,
    /// Try arbitrary calls against the reference, guided by coverage
    Fuzz(fuzz::Args),
    /// Run the threads' protocol through every order of events
    Model,
    /// Install or list the libraries to compare with
    #[command(subcommand)]
    Peers(peers::install::Action),
    Placement(placement::Args),
    Release(release::Args),
    /// Run the tests under the address and the thread sanitizer, and small ones in Miri
    Sanitize(sanitize::Args),
    /// Show that the micro-kernels' loops keep everything in registers
    Spills,
    Sweep(sweep::Args),
    Tune(tune::Args),
    /// Measure the error of the activations over all floats against the promised bounds
    Ulp(ulp::Args),
}

fn main() -> anyhow::Result<()> {
    match Task::parse() {
        Task::Bench(args) => bench::main(&args),
        Task::Builds(args) => builds::main(&args),
        Task::Codegen => codegen::main(),
        Task::Coefficients => coefficients::main(),
        Task::Data(set) => data::main(&set),
        Task::Dependencies(args) => dependencies::main(&args),
        Task::Curves(args) => curves::main(&args),
        Task::Emulate => emulate::main(),
        Task::Files => files::main(),
        Task::Fuzz(args) => fuzz::main(&args),
        Task::Model => model::main(),
        Task::Peers(action) => peers::install::main(&action),
        Task::Placement(args) => placement::main(&args),
        Task::Release(args) => release::main(&args),
        Task::Sanitize(args) => sanitize::main(&args),
        Task::Spills => spills::main(),
        Task::Sweep(args) => sweep::main(&args),
        Task::Tune(args) => tune::main(&args),
        Task::Ulp(args) => ulp::main(&args),
    }
}
