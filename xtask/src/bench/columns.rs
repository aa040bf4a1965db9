//! The figures of a row, for every table that shows them.

use super::run::Row;
use crate::machine::Ceilings;

/// One figure.
pub struct Column {
    pub heading: &'static str,
    /// Characters that it takes at least where columns are aligned.
    pub width: usize,
    pub is_text: bool,
    /// Whether all rows of one kind have the same.
    pub is_of_kind: bool,
    pub value: fn(&Row, &Ceilings) -> String,
}

impl Column {
    const fn text(heading: &'static str, width: usize, value: fn(&Row, &Ceilings) -> String) -> Self {
        Self { heading, width, is_text: true, is_of_kind: false, value }
    }

    const fn number(heading: &'static str, width: usize, value: fn(&Row, &Ceilings) -> String) -> Self {
        Self { heading, width, is_text: false, is_of_kind: false, value }
    }

    const fn of_kind(self) -> Self {
        Self { is_of_kind: true, ..self }
    }
}

/// From left to right.
pub const COLUMNS: [Column; 7] = [
    Column::text("batch×in→out", 14, |row, _| row.network.to_string()),
    Column::text("pass", 8, |row, _| row.pass_name()).of_kind(),
    Column::number("threads", 7, |row, _| row.threads.to_string()).of_kind(),
    Column::number("µs", 9, |row, _| format!("{:.2}", row.nanoseconds / 1e3)),
    Column::number("GFLOP/s", 7, |row, _| format!("{:.0}", row.gflops())),
    Column::number("of peak", 7, |row, ceilings| format!("{:.0} %", 100.0 * row.of_peak(ceilings))),
    Column::number("of roofline", 11, |row, ceilings| format!("{:.0} %", 100.0 * row.of_roofline(ceilings))),
];

/// How a ratio is to be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Won,
    /// Within the noise.
    Even,
    Lost,
}

/// Ratio below which a row counts as lost; between it and one lies the noise.
const LOST: f64 = 0.97;

/// The verdict of a peer's time by ours.
pub fn verdict(ratio: f64) -> Verdict {
    match ratio {
        _ if ratio >= 1.0 => Verdict::Won,
        _ if ratio >= LOST => Verdict::Even,
        _ => Verdict::Lost,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::run::tests::sample;

    #[test]
    fn figures_of_a_row() {
        let run = sample();
        let ceilings = run.ceilings(1).unwrap();
        let values = COLUMNS.map(|column| (column.value)(&run.rows[0], &ceilings));
        assert_eq!(values[..5], ["32×784→100", "forward", "1", "25.00", "201"]);
        assert_eq!(values[5], "80 %");
        assert_eq!([1.2, 0.98, 0.5].map(verdict), [Verdict::Won, Verdict::Even, Verdict::Lost]);
    }
}
