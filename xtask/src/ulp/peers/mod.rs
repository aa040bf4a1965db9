//! `cargo xtask ulp --peers`: the error of other libraries' sigmoid and tanh, by the oracle and tally of our own.

mod embedded;
mod onednn;
mod python;
mod sweep;
mod table;

use crate::peers::library::prepare_environment;
use anstream::println;
use fused_dense::{Activation, Isa};
use indicatif::{ProgressBar, ProgressStyle};
use owo_colors::OwoColorize;
use sweep::Row;

/// Somebody's sigmoid and tanh.
trait Peer {
    /// The name and version in the table.
    fn library(&self) -> &str;
    fn version(&self) -> &str;

    /// Those of the two that it has.
    fn functions(&self) -> &[Activation];

    /// The function's values at these arguments.
    ///
    /// # Errors
    /// Where the library fails.
    fn run(&mut self, function: Activation, x: &[f32], results: &mut [f32]) -> anyhow::Result<()>;
}

/// Libraries that are looked for at run time.
struct Peers {
    found: Vec<Box<dyn Peer>>,
    /// Names, with what kept them away.
    absent: Vec<(String, String)>,
}

/// Of libraries that are found at run time, every 17th float is measured: an odd number reaches all trailing bits, and
/// this one divides the bit pattern of infinity.
const SAMPLE: u32 = 17;

/// Sweeps every `step`-th float and prints the table; by default all floats where the library is built in.
///
/// # Errors
/// Where a library fails that has been found.
pub fn main(step: Option<u32>) -> anyhow::Result<()> {
    // SAFETY: no other thread runs yet.
    unsafe { prepare_environment(Isa::available()[0], 1) };
    let Peers { mut found, mut absent } = onednn::find()?;
    for framework in python::FRAMEWORKS {
        match python::Python::start(framework) {
            Ok(peer) => found.push(Box::new(peer)),
            Err(error) => absent.push((framework.into(), format!("{error:#}"))),
        }
    }
    for (name, reason) in absent {
        println!("{}", format!("without {name}: {reason}").dimmed());
    }
    // The shorter sweep first, as it is the one that can fail.
    let found = sweep_with_bar(&mut found, step.unwrap_or(SAMPLE))?;
    let mut rows = sweep_with_bar(&mut embedded::all(), step.unwrap_or(1))?;
    rows.extend(found);
    println!("{}", table::markdown(&rows));
    Ok(())
}

fn sweep_with_bar(peers: &mut [Box<dyn Peer>], step: u32) -> anyhow::Result<Vec<Row>> {
    let style = ProgressStyle::with_template("{bar:30} {percent}%, {eta} left").expect("the template names known keys");
    let progress = ProgressBar::new(u64::from(sweep::END)).with_style(style);
    let rows = sweep::sweep(peers, step, &progress)?;
    progress.finish_and_clear();
    Ok(rows)
}
