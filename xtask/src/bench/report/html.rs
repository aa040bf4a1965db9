//! The HTML report: one file that needs nothing else.

use super::charts;
use crate::bench::run::{Row, Run};
use crate::peers::passes;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

const STYLE: &str = "
body { font: 15px/1.5 system-ui, sans-serif; max-width: 1000px; margin: 2rem auto; padding: 0 1rem; color: #222; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; display: block; overflow-x: auto; }
th, td { padding: .2rem .6rem; text-align: right; white-space: nowrap; border-bottom: 1px solid #ddd; }
th:first-child, td:first-child { text-align: left; }
.won { background: #d8f0dc; } .even { background: #fdf3cf; } .lost { background: #f8d7d7; }
svg { max-width: 100%; height: auto; }
code { background: #f2f2f2; padding: .1rem .3rem; }
";

/// Writes a run's report.
///
/// # Errors
/// Where the file cannot be written.
pub fn write(run: &Run, path: &Path) -> anyhow::Result<()> {
    Ok(fs::write(path, page(run)?)?)
}

/// The whole page.
fn page(run: &Run) -> anyhow::Result<String> {
    let mut page = String::new();
    let machine = &run.machine;
    write!(
        page,
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<title>fused-dense: {suite}</title>\n\
         <style>{STYLE}</style>\n<h1>fused-dense against its peers: {suite}</h1>\n\
         <p>{cpu}, {cores} cores, {os}; our kernels: {isa}. Repeat with <code>{command}</code>.</p>\n",
        suite = escaped(&run.suite),
        cpu = escaped(&machine.cpu),
        cores = machine.cores,
        os = escaped(&machine.os),
        isa = escaped(&machine.isa),
        command = escaped(&run.command),
    )?;
    ceilings(&mut page, run)?;
    summaries(&mut page, run)?;
    writeln!(page, "<h2>Ratios</h2>\n{}", charts::ratios(run)?)?;
    page.push_str("<h2>Rooflines</h2>\n");
    for ceilings in &machine.ceilings {
        writeln!(page, "{}", charts::roofline(run, ceilings)?)?;
    }
    rows(&mut page, run)?;
    write!(
        page,
        "<p>Ratios are the peer's time by ours: medians of paired rounds (A B B A) in one process, {}; in \
         brackets their quartiles. Both sides do the same work: bias and sigmoid; <i>dz</i>, <i>dW</i>, <i>db</i>, \
         <i>dA_prev</i> and the factor 1/m. Libraries that only multiply matrices get vectorised passes with a sigmoid \
         within {} ULP. Results are checked in double precision before anything is timed. <i>packed</i>: weights \
         reordered for the library before the timing starts.</p>\n</html>\n",
        run.caches(),
        passes::SIGMOID_MAX_ULP,
    )?;
    Ok(page)
}

fn ceilings(page: &mut String, run: &Run) -> anyhow::Result<()> {
    page.push_str("<h2>Measured in the same run</h2>\n<table><tr><th>threads<th>multiply-adds, GFLOP/s<th>reads, GB/s");
    for ceilings in &run.machine.ceilings {
        let levels: Vec<String> = ceilings
            .levels
            .iter()
            .map(|level| format!("{} {:.0}", escaped(&level.name), level.gbytes_per_second))
            .collect();
        write!(page, "<tr><td>{}<td>{:.1}<td>{}", ceilings.threads, ceilings.peak_gflops, levels.join(", "))?;
    }
    page.push_str("</table>\n<p>Peers: ");
    let peers: Vec<String> =
        run.peers.iter().map(|peer| format!("{} {}", escaped(&peer.name), escaped(&peer.version))).collect();
    writeln!(page, "{}.</p>", peers.join(", "))?;
    Ok(())
}

fn summaries(page: &mut String, run: &Run) -> anyhow::Result<()> {
    page.push_str("<h2>Against the best peer of each row</h2>\n<table><tr><th>pass<th>threads<th>mean<th>won<th>worst");
    for (pass, threads) in run.kinds() {
        if let Some(summary) = run.summary(pass, threads) {
            let ratio = summary.worst.best_peer().map_or(0.0, |peer| peer.ratio.median);
            write!(
                page,
                "<tr><td>{pass}<td>{threads}<td>{:.2}×<td>{} of {}<td>{} {ratio:.2}×",
                summary.mean, summary.won, summary.rows, summary.worst.shape,
            )?;
        }
    }
    page.push_str("</table>\n");
    Ok(())
}

fn rows(page: &mut String, run: &Run) -> anyhow::Result<()> {
    page.push_str(
        "<h2>All rows</h2>\n<table><tr><th>layer<th>pass<th>T<th>µs<th>GFLOP/s<th>% of peak<th>% of roofline",
    );
    for peer in &run.peers {
        write!(page, "<th>{}", escaped(&peer.name))?;
    }
    for row in &run.rows {
        let ceilings = run.ceilings(row.threads)?;
        write!(
            page,
            "\n<tr><td>{}<td>{}<td>{}<td>{:.2}<td>{:.1}<td>{:.1}<td>{:.1}",
            row.shape,
            row.pass,
            row.threads,
            row.nanoseconds / 1e3,
            row.gflops(),
            100.0 * row.of_peak(ceilings),
            100.0 * row.of_roofline(ceilings),
        )?;
        for peer in &run.peers {
            page.push_str(&cell(row, &peer.name));
        }
    }
    page.push_str("</table>\n");
    Ok(())
}

/// A peer's ratio in one row.
fn cell(row: &Row, name: &str) -> String {
    let Some(peer) = row.peer(name) else { return "<td>–".into() };
    let class = match peer.ratio.median {
        ratio if ratio >= 1.0 => "won",
        ratio if ratio >= crate::bench::table::LOST => "even",
        _ => "lost",
    };
    let spread = &peer.ratio;
    format!(
        "<td class=\"{class}\" title=\"{:.2} µs\">{:.2}× ({:.2}–{:.2})",
        peer.nanoseconds / 1e3,
        spread.median,
        spread.lower_quartile,
        spread.upper_quartile,
    )
}

/// Text as it may stand between tags.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::run::tests::sample;

    #[test]
    fn a_page_is_made_of_a_stored_run() {
        let stored = serde_json::to_string(&sample()).unwrap();
        let page = page(&serde_json::from_str(&stored).unwrap()).unwrap();
        assert!(page.contains("A &lt;test> CPU".replace('>', "&gt;").as_str()));
        assert_eq!(page.matches("<svg").count(), 2);
        assert!(page.contains("32×784→100") && page.contains("class=\"lost\""));
        assert!(!page.contains("src=") && !page.contains("href="), "the page must stand alone");
    }
}
