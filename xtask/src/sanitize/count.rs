//! How many tests have run.

/// Tests that passed, by the lines that each test program ends with.
pub fn passed(text: &str) -> usize {
    let of_line = |line: &str| {
        let (_, rest) = line.split_once("test result: ")?;
        rest.split_once(". ")?.1.split_once(" passed")?.0.parse::<usize>().ok()
    };
    text.lines().filter_map(of_line).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_results_of_all_programs_add_up() {
        let text = "running 2 tests\n..\ntest result: ok. 2 passed; 0 failed; 0 ignored\n\
                    test result: FAILED. 11 passed; 1 failed; 0 ignored\ntest a ... ok\n";
        assert_eq!(passed(text), 13);
        assert_eq!(passed(""), 0);
    }
}
