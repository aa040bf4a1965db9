//! `--readme`: refreshes the table of results and its picture.

use super::charts;
use crate::bench::run::{Row, Run};
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
    fs::write(picture, charts::ratios(run)?)?;
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
    for ceilings in &machine.ceilings {
        writeln!(
            section,
            "Peak of multiply-adds in the same run on {} thread(s): {:.0} GFLOP/s.",
            ceilings.threads, ceilings.peak_gflops
        )?;
    }
    for (pass, threads) in run.kinds() {
        if let Some(summary) = run.summary(pass, threads) {
            writeln!(
                section,
                "{pass} on {threads} thread(s): {:.2}× the best peer of each row (geometric mean), {} of {} rows won.",
                summary.mean, summary.won, summary.rows,
            )?;
        }
    }
    let peers: Vec<String> = run.peers.iter().map(|peer| format!("{} {}", peer.name, peer.version)).collect();
    writeln!(
        section,
        "Ratios are the other's time by ours, above 1 where ours is faster, {}; the best peer is the fastest of {}; \
         *packed* means weights reordered for the library beforehand.\n",
        run.caches(),
        peers.join(", "),
    )?;
    section.push_str(
        "| batch×in→out | pass | threads | µs | GFLOP/s | of peak | unfused baseline | best peer |\n\
         |---|---|--:|--:|--:|--:|--:|---|\n",
    );
    for row in &run.rows {
        writeln!(section, "{}", line(run, row)?)?;
    }
    write!(section, "\n![Each peer's time by ours, layer by layer]({PICTURE})\n\n")?;
    Ok(section)
}

fn line(run: &Run, row: &Row) -> anyhow::Result<String> {
    let ratio = |ratio: Option<f64>| ratio.map_or_else(|| "–".to_string(), |ratio| format!("{ratio:.2}×"));
    let best = row.best_peer();
    Ok(format!(
        "| {} | {} | {} | {:.2} | {:.0} | {:.0} % | {} | {} {} |",
        row.shape,
        row.pass,
        row.threads,
        row.nanoseconds / 1e3,
        row.gflops(),
        100.0 * row.of_peak(run.ceilings(row.threads)?),
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
        assert!(section.contains("| 32×784→100 | backward | 1 | 50.00 |"));
        assert!(section.contains("| 2.00× | 0.90× faer |"));
    }
}
