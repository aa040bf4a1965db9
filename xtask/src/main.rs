//! The project's tools; `cargo xtask help` lists them.

mod bench;
mod codegen;
mod lockfile;
mod machine;
mod peers;
mod spills;
mod training;
mod workspace;

use clap::Parser;

/// The project's tools.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
enum Task {
    /// Compare our layers with other libraries'
    Bench(Box<bench::Args>),
    /// Print the kernel table that build.rs generates
    Codegen,
    /// Install or list the libraries to compare with
    #[command(subcommand)]
    Peers(peers::install::Action),
    /// Show that the micro-kernels' loops keep everything in registers
    Spills,
    /// Compare whole training steps with PyTorch and JAX
    Training(training::Args),
}

fn main() -> anyhow::Result<()> {
    match Task::parse() {
        Task::Bench(args) => bench::main(&args),
        Task::Codegen => codegen::main(),
        Task::Peers(action) => peers::install::main(&action),
        Task::Spills => spills::main(),
        Task::Training(args) => training::main(&args),
    }
}
