//! Reports made from a run: an HTML page, the tables in `docs/results.md`, and the summary in the README.

mod charts;
mod front;
mod html;
mod ratios;
mod results;
mod roofline;

use super::run::Run;
pub use html::write as write_html;

/// Writes a run into the documentation: layers into the tables, everything that the README shows into its summary.
///
/// # Errors
/// Where a file cannot be read or written.
pub fn refresh_documents(run: &Run) -> anyhow::Result<()> {
    if run.rows.iter().any(|row| !row.pass.is_of_networks()) {
        results::refresh(run)?;
    }
    front::refresh(run)
}
