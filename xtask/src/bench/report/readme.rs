//! `--readme`: refreshes the table of results and its picture.

use super::ratios::ratios;
use crate::bench::columns::COLUMNS;
use crate::bench::run::{Kind, Row, Run, count};
use crate::bench::shape::Weights;
use crate::workspace;
use anyhow::{Context, ensure};
use std::fmt::Write as _;
use std::fs;

const BEGIN: &str = "<!-- results: `cargo xtask bench --readme` writes what follows -->";
const END: &str = "<!-- end of results -->";

/// The picture, from the workspace's folder.
const PICTURE: &str = "assets/ratios.svg";

/// Writes a run's results into the README and its picture beside it.
///
/// # Errors
/// Where the README has no place for them.
pub fn refresh(run: &Run) -> anyhow::Result<()> {
    let path = workspace::root().join("README.md");
    let text = replaced(&fs::read_to_string(&path)?, &section(run)?)?;
    let picture = workspace::root().join(PICTURE);
    fs::create_dir_all(picture.parent().expect("the picture lies in a folder"))?;
    let kinds: Vec<Kind> = run.kinds().into_iter().filter(|kind| kind.weights == Weights::Plain).collect();
    fs::write(picture, ratios(run, &kinds)?)?;
    fs::write(path, text)?;
    Ok(())
}

/// The README with another section between its markers.
fn replaced(readme: &str, section: &str) -> anyhow::Result<String> {
    let missing = || format!("README.md needs the lines\n{BEGIN}\n{END}");
    let (before, rest) = readme.split_once(BEGIN).with_context(missing)?;
    let (_, after) = rest.split_once(END).with_context(missing)?;
    Ok(format!("{before}{BEGIN}\n{section}{END}{after}"))
}

/// The section: where it was measured, the table, the picture.
fn section(run: &Run) -> anyhow::Result<String> {
    ensure!(!run.rows.is_empty(), "a run without rows");
    let machine = &run.machine;
    let mut section = format!("\n{}, {} kernels, measured by `{}`.\n", machine.cpu, machine.isa, run.command);
    let peaks: Vec<String> = machine
        .before
        .iter()
        .map(|before| {
            let peak = run.ceilings(before.threads)?.peak_gflops;
            Ok(format!("{peak:.0} GFLOP/s on {}", count(before.threads)))
        })
        .collect::<anyhow::Result<_>>()?;
    writeln!(section, "Peak of multiply-adds in the same run: {}.\n", peaks.join(", "))?;
    for kind in run.kinds() {
        if let Some(summary) = run.summary(&kind) {
            let (mean, won, rows) = (summary.mean, summary.won, summary.rows);
            writeln!(
                section,
                "- {kind}: {mean:.2}× the best peer of each row (geometric mean), {won} of {rows} rows won"
            )?;
        }
    }
    writeln!(
        section,
        "\nRatios are the other's time by ours, above 1 where ours is faster, {}; the best peer is the fastest of {}. \
         *Packed* means weights reordered for the library beforehand; such rows are compared with everybody, \
         plain ones, which the table shows, with plain ones only.\n",
        run.caches(),
        run.peers_line(),
    )?;
    let of_columns = |text: &dyn Fn(usize) -> String| (0..COLUMNS.len()).map(text).collect::<Vec<_>>().join(" | ");
    writeln!(section, "| {} | unfused baseline | best peer |", of_columns(&|index| COLUMNS[index].heading.into()))?;
    let rule = |index: usize| if COLUMNS[index].is_text { "---" } else { "--:" }.to_string();
    writeln!(section, "|{}|--:|---|", of_columns(&rule).replace(' ', ""))?;
    for row in plain_rows(run) {
        writeln!(section, "{}", line(run, row)?)?;
    }
    write!(section, "\n![Each peer's time by ours, layer by layer]({PICTURE})\n\n")?;
    Ok(section)
}

/// The rows with plain weights: the others would double the table to say that they differ little.
fn plain_rows(run: &Run) -> impl Iterator<Item = &Row> {
    run.rows.iter().filter(|row| row.weights == Weights::Plain)
}

fn line(run: &Run, row: &Row) -> anyhow::Result<String> {
    let ratio = |ratio: Option<f64>| ratio.map_or_else(|| "–".to_string(), |ratio| format!("{ratio:.2}×"));
    let best = row.best_peer();
    let ceilings = run.ceilings(row.threads)?;
    let figures = COLUMNS.map(|column| (column.value)(row, &ceilings)).join(" | ");
    Ok(format!(
        "| {figures} | {} | {} {} |",
        ratio(row.baseline().map(|peer| peer.ratio.median)),
        ratio(best.map(|peer| peer.ratio.median)),
        best.map_or("", |peer| &peer.name),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::run::tests::sample;

    #[test]
    fn only_what_stands_between_the_markers_changes() {
        let readme = format!("# Title\n{BEGIN}\nold\n{END}\nrest\n");
        let new = replaced(&readme, "new\n").unwrap();
        assert_eq!(new, format!("# Title\n{BEGIN}\nnew\n{END}\nrest\n"));
        assert_eq!(replaced(&new, "new\n").unwrap(), new);
        assert!(replaced("# Title\n", "new").is_err());
    }

    #[test]
    fn the_table_has_a_line_for_each_row() {
        let section = section(&sample()).unwrap();
        assert!(section.contains("| 32×784→100 | backward | 1 | 50.00 | 201 |"));
        assert!(section.contains("| 2.00× | 0.90× faer |"));
    }
}
