//! `docs/results.md`: a section for each CPU, with its table and its picture.

use super::ratios::ratios;
use crate::bench::columns::COLUMNS;
use crate::bench::run::{Kind, Row, Run, count};
use crate::bench::shape::Weights;
use crate::workspace;
use anyhow::{Context, ensure};
use std::fmt::Write as _;
use std::fs;

/// The page, and the folder of its pictures and data, from the workspace's folder.
const PAGE: &str = "docs/results.md";
pub const FOLDER: &str = "docs/results";

const END: &str = "<!-- end of results -->";

/// Writes a run's rows into the section of its CPU, and the picture that belongs to it.
///
/// # Errors
/// Where a file cannot be read or written, or the run has no rows.
pub fn refresh(run: &Run) -> anyhow::Result<()> {
    let path = workspace::root().join(PAGE);
    let page = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let page = replaced(&page, &run.machine.title(), &section(run)?)?;
    let folder = workspace::root().join(FOLDER);
    fs::create_dir_all(&folder)?;
    let kinds: Vec<Kind> = run.kinds().into_iter().filter(|kind| kind.weights == Weights::Plain).collect();
    fs::write(folder.join(picture(&run.machine.title())), ratios(run, &kinds)?)?;
    fs::write(path, page)?;
    Ok(())
}

/// The name of a CPU as part of a file's name.
pub fn file_stem(cpu: &str) -> String {
    let words = cpu.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    words.map(str::to_ascii_lowercase).collect::<Vec<_>>().join("-")
}

fn picture(cpu: &str) -> String {
    format!("{}.svg", file_stem(cpu))
}

fn begin(cpu: &str) -> String {
    format!("<!-- results of {cpu}: `cargo xtask bench --readme` writes what follows -->")
}

/// The page with another section for a CPU: in its place, or at the end where it has none yet.
fn replaced(page: &str, cpu: &str, section: &str) -> anyhow::Result<String> {
    let begin = begin(cpu);
    let section = format!("{begin}\n{section}{END}");
    let Some((before, rest)) = page.split_once(&begin) else {
        return Ok(format!("{}\n\n{section}\n", page.trim_end()));
    };
    let (_, after) = rest.split_once(END).with_context(|| format!("{PAGE} needs the line {END}"))?;
    Ok(format!("{before}{section}{after}"))
}

/// The section: where it was measured, the table, the picture.
fn section(run: &Run) -> anyhow::Result<String> {
    ensure!(!run.rows.is_empty(), "a run without rows");
    let machine = &run.machine;
    let mut section = format!("\n## {}\n\n{} kernels, measured by `{}`.\n", machine.title(), machine.isa, run.command);
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
    let took_part = |name: &str| run.rows.iter().any(|row| row.peer(name).is_some());
    let peers = run.peers.iter().filter(|peer| took_part(&peer.name));
    let peers: Vec<String> = peers.map(|peer| format!("{} {}", peer.name, peer.version)).collect();
    writeln!(
        section,
        "\nRatios are the other's time by ours, above 1 where ours is faster, {}; the best peer is the fastest of {}. \
         *Packed* means weights reordered for the library beforehand; such rows are compared with everybody, \
         plain ones, which the table shows, with plain ones only.\n",
        run.caches(),
        peers.join(", "),
    )?;
    let of_columns = |text: &dyn Fn(usize) -> String| (0..COLUMNS.len()).map(text).collect::<Vec<_>>().join(" | ");
    writeln!(section, "| {} | unfused baseline | best peer |", of_columns(&|index| COLUMNS[index].heading.into()))?;
    let rule = |index: usize| if COLUMNS[index].is_text { "---" } else { "--:" }.to_string();
    writeln!(section, "|{}|--:|---|", of_columns(&rule).replace(' ', ""))?;
    for row in plain_rows(run) {
        writeln!(section, "{}", line(run, row)?)?;
    }
    write!(section, "\n![Each peer's time by ours, row by row](results/{})\n\n", picture(&machine.title()))?;
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
    use crate::bench::run::{PeerInfo, tests::sample};

    #[test]
    fn only_the_section_of_the_cpu_changes() {
        let page = format!("# Title\n\n{}\nold\n{END}\n\n{}\nkept\n{END}\n", begin("A"), begin("B"));
        let new = replaced(&page, "A", "new\n").unwrap();
        assert_eq!(new, page.replace("old\n", "new\n"));
        assert_eq!(replaced(&new, "A", "new\n").unwrap(), new);
        assert!(replaced(&format!("{}\nno end\n", begin("A")), "A", "new\n").is_err());
    }

    #[test]
    fn a_new_cpu_gets_a_section_at_the_end() {
        let page = replaced("# Title\n", "A CPU", "\nnew\n").unwrap();
        assert_eq!(page, format!("# Title\n\n{}\n\nnew\n{END}\n", begin("A CPU")));
    }

    #[test]
    fn the_table_has_a_line_for_each_row() {
        let section = section(&sample()).unwrap();
        assert!(section.contains("| 32×784→100 | backward | 1 | 50.00 | 201 |"));
        assert!(section.contains("| 2.00× | 0.90× faer |"));
        assert!(section.contains("](results/a-test-cpu.svg)"));
    }

    #[test]
    fn only_peers_with_rows_are_named() {
        let mut run = sample();
        run.peers.push(PeerInfo { name: "pytorch".into(), version: "2".into() });
        let section = section(&run).unwrap();
        assert!(section.contains("faer 0.24") && !section.contains("pytorch"));
    }
}
