//! The HTML report: one file that needs nothing else.

use super::{ratios::ratios, roofline::roofline};
use crate::bench::columns::{COLUMNS, Verdict, verdict};
use crate::bench::run::{Kind, Row, Run, count};
use crate::bench::table;
use anyhow::Context;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::slice;

/// Most rows of a run whose kinds share one chart: for one layer, a chart for each kind would hold a single line.
const ONE_CHART: usize = 24;

const STYLE: &str = include_str!("style.css");

/// Writes a run's report.
///
/// # Errors
/// Where the file cannot be written.
pub fn write(run: &Run, path: &Path) -> anyhow::Result<()> {
    fs::write(path, page(run)?).with_context(|| format!("cannot write {}", path.display()))
}

/// The whole page.
fn page(run: &Run) -> anyhow::Result<String> {
    let mut page = String::new();
    write!(
        page,
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>fused-dense and its peers</title>\n\
         <style>\n{STYLE}</style>\n<h1>fused-dense and its peers</h1>\n\
         <p class=\"note\">{}, {}; repeat with <code>{}</code></p>\n",
        escaped(&run.machine.cpu),
        run.caches(),
        escaped(&run.command),
    )?;
    summaries(&mut page, run)?;
    page.push_str("<h2>All rows</h2>\n");
    let shares_a_chart = run.rows.len() <= ONE_CHART;
    if shares_a_chart && run.rows.iter().any(|row| !row.peers.is_empty()) {
        chart(&mut page, &ratios(run, &run.kinds())?);
    }
    for kind in run.kinds() {
        rows(&mut page, run, &kind, !shares_a_chart)?;
    }
    page.push_str("<h2>Rooflines</h2>\n");
    for ceilings in &run.machine.before {
        chart(&mut page, &roofline(run, &run.ceilings(ceilings.threads)?)?);
    }
    machine(&mut page, run)?;
    writeln!(page, "<h2>Method</h2>\n<p>{}</p>\n</html>", escaped(&table::method(run)))?;
    Ok(page)
}

/// A picture that can be pushed sideways where it is wider than the page.
fn chart(page: &mut String, svg: &str) {
    page.push_str("<div class=\"chart\">");
    page.push_str(svg);
    page.push_str("</div>\n");
}

fn summaries(page: &mut String, run: &Run) -> anyhow::Result<()> {
    page.push_str(
        "<h2>Against the best peer of each row</h2>\n<table><tr><th class=\"text\">rows<th>mean<th>won\
         <th class=\"text\">worst",
    );
    for kind in run.kinds() {
        if let Some(summary) = run.summary(&kind) {
            let best = summary.worst.best_peer().context("a row in a summary has a peer")?;
            write!(
                page,
                "\n<tr><td class=\"text\">{}<td class=\"{} best\">{:.2}×<td>{} of {}<td class=\"text\">{:.2}× {} at {}",
                escaped(&kind.to_string()),
                class(summary.mean),
                summary.mean,
                summary.won,
                summary.rows,
                best.ratio.median,
                escaped(&best.name),
                summary.worst.network,
            )?;
        }
    }
    page.push_str(
        "</table>\n<p class=\"note\">Geometric means of the peer's time by ours: above 1, ours is faster.</p>\n",
    );
    Ok(())
}

/// The machine, what it reached, and the peers.
fn machine(page: &mut String, run: &Run) -> anyhow::Result<()> {
    let machine = &run.machine;
    write!(page, "<h2>Machine and peers</h2>\n<table>")?;
    let tuning = machine.tuning.as_ref();
    let facts = [
        ("processor", machine.cpu.clone()),
        ("microarchitecture", machine.microarchitecture.to_string()),
        ("cores", machine.cores.to_string()),
        ("system", machine.os.clone()),
        ("instruction set", machine.isa.clone()),
        ("tuning row", tuning.map_or_else(|| "not told".to_string(), |row| row.name.clone())),
    ];
    for (name, value) in facts {
        write!(page, "\n<tr><td class=\"text\">{name}<td class=\"text\">{}", escaped(&value))?;
    }
    for peer in &run.peers {
        write!(page, "\n<tr><td class=\"text\">{}<td class=\"text\">{}", escaped(&peer.name), escaped(&peer.version))?;
    }
    page.push_str("</table>\n");
    if let Some(warning) = tuning.and_then(table::warning) {
        writeln!(page, "<p class=\"warning\">{}</p>", escaped(&warning))?;
    }
    page.push_str("<p>Reached in the same run, before and after the rows:</p>\n");
    if let Some(first) = machine.before.first() {
        page.push_str("<table><tr><th>threads<th class=\"text\">when<th>multiply-adds, GFLOP/s");
        for level in &first.levels {
            write!(page, "<th>{} reads, GB/s", escaped(&level.name))?;
        }
    }
    for before in &machine.before {
        let after = machine.after.iter().find(|after| after.threads == before.threads);
        for (when, ceilings) in [("before", Some(before)), ("after", after)] {
            let Some(ceilings) = ceilings else { continue };
            write!(page, "\n<tr><td>{}<td class=\"text\">{when}<td>{:.0}", ceilings.threads, ceilings.peak_gflops)?;
            for level in &ceilings.levels {
                write!(page, "<td>{:.0}", level.gbytes_per_second)?;
            }
        }
    }
    page.push_str("</table>\n");
    for drift in machine.drift() {
        writeln!(
            page,
            "<p class=\"warning\">The machine changed meanwhile: {} on {} were {:.0} before and {:.0} after.</p>",
            escaped(&drift.what),
            count(drift.threads),
            drift.before,
            drift.after,
        )?;
    }
    Ok(())
}

/// The rows of one kind, with a chart of their own where they share none.
fn rows(page: &mut String, run: &Run, kind: &Kind, has_chart: bool) -> anyhow::Result<()> {
    let rows: Vec<&Row> = run.rows.iter().filter(|row| row.kind() == *kind).collect();
    let took_part = |name: &str| rows.iter().any(|row| row.peer(name).is_some());
    let peers: Vec<&str> = run.peers.iter().map(|peer| peer.name.as_str()).filter(|name| took_part(name)).collect();
    writeln!(page, "<h3>{}</h3>", escaped(&kind.to_string()))?;
    if has_chart && !peers.is_empty() {
        chart(page, &ratios(run, slice::from_ref(kind))?);
    }
    page.push_str("<table><tr>");
    let columns = || COLUMNS.iter().filter(|column| !column.is_of_kind);
    for column in columns() {
        write!(page, "<th{}>{}", alignment(column.is_text), column.heading)?;
    }
    for peer in &peers {
        write!(page, "<th>{}", escaped(peer))?;
    }
    for row in rows {
        page.push_str("\n<tr>");
        let ceilings = run.ceilings(row.threads)?;
        for column in columns() {
            write!(page, "<td{}>{}", alignment(column.is_text), escaped(&(column.value)(row, &ceilings)))?;
        }
        for peer in &peers {
            page.push_str(&cell(row, peer));
        }
    }
    page.push_str("</table>\n");
    Ok(())
}

fn alignment(is_text: bool) -> &'static str {
    if is_text { " class=\"text\"" } else { "" }
}

fn class(ratio: f64) -> &'static str {
    match verdict(ratio) {
        Verdict::Won => "won",
        Verdict::Even => "even",
        Verdict::Lost => "lost",
    }
}

/// A peer's ratio in one row.
fn cell(row: &Row, name: &str) -> String {
    let Some(peer) = row.peer(name) else { return "<td>–".into() };
    let best = if row.best_peer().is_some_and(|best| best.name == name) { " best" } else { "" };
    let spread = &peer.ratio;
    format!(
        "<td class=\"{}{best}\" title=\"{:.2} µs; median ±{:.1} %, quartiles {:.2}–{:.2}, {} rounds\">{:.2}×",
        class(spread.median),
        peer.nanoseconds / 1e3,
        100.0 * spread.error(),
        spread.lower_quartile,
        spread.upper_quartile,
        spread.count,
        spread.median,
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
        assert!(page.contains("A &lt;test&gt; CPU"));
        // Ratios, and a roofline.
        assert_eq!(page.matches("<svg").count(), 2);
        assert_eq!(page.matches("<h3>").count(), 2);
        assert!(page.contains("32×784→100") && page.contains("class=\"lost best\""));
        assert!(!page.contains("src=") && !page.contains("href="), "the page must stand alone");
    }

    #[test]
    fn kinds_of_many_rows_have_charts_of_their_own() {
        let mut run = sample();
        while run.rows.len() <= ONE_CHART {
            run.rows.extend(sample().rows);
        }
        // Ratios forward and backward, and a roofline.
        assert_eq!(page(&run).unwrap().matches("<svg").count(), 3);
    }

    /// Nothing is wider than a phone but what can be pushed sideways by itself.
    #[test]
    fn a_phone_shows_the_page_in_its_own_width() {
        let page = page(&sample()).unwrap();
        assert!(page.contains("content=\"width=device-width, initial-scale=1\""));
        assert_eq!(page.matches("<svg").count(), page.matches("<div class=\"chart\"><svg").count());
        for rule in ["table { ", ".chart { "] {
            let (_, rest) = page.split_once(rule).unwrap();
            assert!(rest.split('}').next().unwrap().contains("overflow-x: auto"), "{rule}");
        }
    }

    #[test]
    fn a_machine_that_changed_is_told() {
        let mut run = sample();
        let mut after = run.machine.before[0].clone();
        after.peak_gflops = 125.0;
        run.machine.after = vec![after];
        assert!(page(&run).unwrap().contains("were 250 before and 125 after"));
    }
}
