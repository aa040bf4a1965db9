//! The output of a fuzz target.

/// Cases, and those that shared work.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub cases: u64,
    pub shared: u64,
}

/// The last tally of a log; zeros where there is none.
pub fn tally(log: &str) -> Tally {
    let read = |line: &str| {
        let (cases, rest) = line.strip_prefix("tally: ")?.split_once(" cases, ")?;
        Some(Tally { cases: cases.parse().ok()?, shared: rest.strip_suffix(" shared")?.parse().ok()? })
    };
    log.lines().rev().find_map(read).unwrap_or_default()
}

/// A log's lines about a finding: from its first sign on, without the lines of libFuzzer and of the tally on the way.
pub fn finding(log: &str) -> impl Iterator<Item = &str> {
    const SIGNS: [&str; 3] = ["panicked at", "ERROR: ", "ALARM: "];
    const MOST_LINES: usize = 60;
    let lines = log.lines().filter(|line| !line.starts_with('#') && !line.starts_with("tally: "));
    let is_sign = |line: &&str| SIGNS.iter().any(|sign| line.contains(sign));
    lines.skip_while(move |line| !is_sign(line)).take(MOST_LINES)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "\
INFO: Seed: 1
#2\tINITED cov: 5
tally: 128 cases, 60 shared
#200\tNEW cov: 6
tally: 130 cases, 61 shared
thread '<unnamed>' panicked at src/layer.rs:1:1:
a: element 3";

    #[test]
    fn the_last_tally_counts() {
        assert_eq!(tally(LOG), Tally { cases: 130, shared: 61 });
        assert_eq!(tally("no tally: 3"), Tally::default());
    }

    #[test]
    fn a_finding_is_told_from_its_first_sign_on() {
        let finding: Vec<&str> = finding(LOG).collect();
        assert_eq!(finding, ["thread '<unnamed>' panicked at src/layer.rs:1:1:", "a: element 3"]);
    }
}
