//! `cargo xtask bench`: our layers against other libraries', honestly.
//!
//! Every figure comes with the peak and the bandwidth measured in the same run; both sides do the same work on the
//! same operands, and nothing is timed before its results have been checked.

pub mod against;
pub mod args;
pub mod buffer;
pub mod columns;
pub mod exact;
pub mod measure;
pub mod ours;
pub mod random;
pub mod recipe;
pub mod report;
pub mod run;
pub mod session;
pub mod shape;
pub mod statistics;
pub mod suite;
pub mod table;
pub mod training;
pub mod verify;
pub mod workload;

pub use args::Args;

use run::{Row, Run};
use std::path::Path;
use table::Table;

/// Runs the comparison, or takes it from a file, and reports.
///
/// # Errors
/// Where a file cannot be read or written, or a peer computes something else.
pub fn main(args: &Args) -> anyhow::Result<()> {
    let before = args.against.as_deref().map(Run::read).transpose()?;
    let run = match &args.from {
        Some(path) => stored(path, args.all)?,
        None if session::needs_another_build(args.isa) => return session::run_another_build(),
        None => session::measured(args)?,
    };
    if let Some(path) = &args.json {
        run.write(path)?;
    }
    table::print_summary(&run);
    if let Some(before) = &before {
        against::print(before, &run)?;
    }
    if let Some(path) = &args.html {
        report::write_html(&run, path)?;
    }
    if args.readme {
        report::refresh_documents(&run)?;
    }
    Ok(())
}

/// Reads a run and prints its table.
fn stored(path: &Path, all: bool) -> anyhow::Result<Run> {
    let run = Run::read(path)?;
    table::print_run(&run);
    for (when, measured) in [("before", &run.machine.before), ("after", &run.machine.after)] {
        measured.iter().for_each(|ceilings| table::print_ceilings(ceilings, when));
    }
    let names: Vec<String> = run.peers.iter().map(|peer| peer.name.clone()).collect();
    let networks = run.rows.iter().map(|row| row.network.to_string());
    let table = Table::new(networks, run.rows.iter().map(Row::pass_name), &names, all);
    table.print_header();
    for row in &run.rows {
        table.print_row(row, &run.ceilings(row.threads)?);
    }
    Ok(run)
}
