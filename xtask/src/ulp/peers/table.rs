//! The table, in Markdown.

use super::sweep::{Counts, Row};
use fused_dense::Activation;

const HEADER: &str = "\
| Library | Version | Function | Largest error, ULP | at x | Results below 2⁻¹²⁰ | Subnormal results | Mistakes | Floats |
|---|---|---|---:|---:|---:|---|---|---|
";

/// One line for each function. The first error is that of results from 2⁻¹²⁰ on, the second that of other normal ones.
pub fn markdown(rows: &[Row]) -> String {
    let lines = rows.iter().map(|Row { library, version, function, step, counts }| {
        let (error, x) = counts.ample.worst[0];
        let (error, below) = (units(error), units(counts.least_normal.worst[0].0));
        let (subnormal, mistakes) = (subnormal(counts), mistakes(*function, counts));
        let floats = if *step == 1 { "all".into() } else { format!("1 of {step}") };
        let figures = format!("{error} | {x:?} | {below} | {subnormal} | {mistakes} | {floats}");
        format!("| {library} | {version} | {function} | {figures} |\n")
    });
    HEADER.chars().chain(lines.collect::<String>().chars()).collect()
}

/// As many digits as say something.
fn units(error: f64) -> String {
    if error < 1000.0 { format!("{error:.2}") } else { format!("{error:.1e}") }
}

fn subnormal(counts: &Counts) -> String {
    let Counts { subnormal, zero, wrong_subnormals, flushed, .. } = counts;
    let share = *wrong_subnormals as f64 / subnormal.count.max(1) as f64 * 100.0;
    let mut text = match subnormal.worst[0].0 {
        _ if *wrong_subnormals == 0 => "right".into(),
        _ if flushed == wrong_subnormals => format!("{share:.0} % are 0 instead"),
        worst => format!("{share:.0} % wrong, by up to {} ULP", units(worst)),
    };
    if zero.worst[0].0 > 1.0 {
        text += "; not 0 where that is nearest";
    }
    text
}

fn mistakes(function: Activation, counts: &Counts) -> String {
    let wrong_nan = counts.tallies().map(|tally| tally.wrong_nan).iter().sum();
    let range = if function == Activation::Tanh { "[−1, 1]" } else { "[0, 1]" };
    let found: [(u64, String); 3] = [
        (wrong_nan, "NaN for numbers".into()),
        (counts.lost_nan, "numbers for NaN".into()),
        (counts.out_of_range, format!("outside {range}")),
    ];
    let named = found.into_iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}"));
    let named: Vec<String> = named.collect();
    if named.is_empty() { "none".into() } else { named.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_say_what_was_found() {
        let (library, version, function) = ("some".to_string(), "1.0".to_string(), Activation::Sigmoid);
        let mut counts = Counts { wrong_subnormals: 1, flushed: 1, out_of_range: 3, ..Counts::default() };
        counts.ample.worst[0] = (2.345, -1.5);
        counts.least_normal.worst[0] = (12_345.0, -87.0);
        counts.subnormal.count = 2;
        let table = markdown(&[Row { library, version, function, step: 17, counts }]);
        let line = "| some | 1.0 | sigmoid | 2.35 | -1.5 | 1.2e4 | 50 % are 0 instead | 3 outside [0, 1] | 1 of 17 |\n";
        assert_eq!(table.strip_prefix(HEADER), Some(line));
    }
}
