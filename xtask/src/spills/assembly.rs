//! Just enough of a parser for the assembly that the compiler writes (AT&T syntax): functions, loops, stack accesses.

/// One function's lines.
pub struct Function<'a> {
    pub symbol: &'a str,
    lines: Vec<&'a str>,
}

/// The instructions of a loop.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Fused multiply-adds of whole vectors.
    pub fmas: usize,
    /// Vector instructions that read memory, broadcasts included.
    pub loads: usize,
    /// Vector instructions that write the stack: a value that changes in the loop lives in memory.
    pub spills: usize,
    /// Vector instructions that read the stack: where nothing is spilled, a value that stays the same, as a mask.
    pub reloads: usize,
    /// Divisions, which only activations have.
    divisions: usize,
}

/// Splits a file into its functions.
pub fn functions(text: &str) -> Vec<Function<'_>> {
    let mut functions: Vec<Function<'_>> = Vec::new();
    for line in text.lines() {
        match line.strip_suffix(':') {
            Some(label) if !label.starts_with(['.', '\t', ' ', '#']) => {
                functions.push(Function { symbol: label, lines: Vec::new() });
            }
            _ => {
                if let Some(function) = functions.last_mut() {
                    function.lines.push(line.trim());
                }
            }
        }
    }
    functions
}

impl Function<'_> {
    /// The loops that run along the sum: innermost, with at least one multiply-add for each accumulator. Loops with a
    /// division belong to an activation behind them, where accumulators may well be in memory.
    pub fn main_loops(&self, accumulators: usize) -> Vec<Counts> {
        let spans = self.loops();
        let is_innermost = |&(start, end): &(usize, usize)| {
            !spans.iter().any(|&other| other != (start, end) && start <= other.0 && other.1 <= end)
        };
        let counted = spans.iter().copied().filter(is_innermost).map(|(start, end)| self.counts(start, end));
        counted.filter(|counts| counts.fmas >= accumulators && counts.divisions == 0).collect()
    }

    /// First and last line of each stretch that a backward jump repeats.
    fn loops(&self) -> Vec<(usize, usize)> {
        let is_loop = |&(start, end): &(usize, usize)| start <= end && self.flows(start, end);
        let spans = (0..self.lines.len()).filter_map(|end| Some((self.target(end)?, end)));
        spans.filter(is_loop).collect()
    }

    /// Whether control comes from one line to a later one without leaving the lines between. A block that is laid out
    /// behind the rest jumps back, too, but is not reached from where it jumps to.
    fn flows(&self, start: usize, end: usize) -> bool {
        let (mut seen, mut next) = (vec![false; end + 1], vec![start]);
        while let Some(line) = next.pop() {
            if line < start || line > end || std::mem::replace(&mut seen[line], true) {
                continue;
            }
            next.extend(self.target(line));
            let instruction = self.lines[line].split_whitespace().next().unwrap_or_default();
            if !["jmp", "retq", "ud2"].contains(&instruction) {
                next.push(line + 1);
            }
        }
        seen[end]
    }

    /// The line that a jump leads to.
    fn target(&self, line: usize) -> Option<usize> {
        let mut words = self.lines[line].split_whitespace();
        let label = words.next().filter(|instruction| instruction.starts_with('j')).and(words.next())?;
        self.lines.iter().position(|line| line.strip_suffix(':') == Some(label))
    }

    fn counts(&self, start: usize, end: usize) -> Counts {
        // Without a frame, the compiler uses rbp like any other register.
        let has_frame = self.lines.contains(&"movq\t%rsp, %rbp");
        let mut counts = Counts::default();
        for line in &self.lines[start..=end] {
            let Some((instruction, operands)) = line.split_once(char::is_whitespace) else { continue };
            if !["%zmm", "%ymm", "%xmm"].iter().any(|register| operands.contains(register)) {
                continue;
            }
            let is_whole = !operands.contains("%xmm");
            counts.fmas += usize::from(is_whole && instruction.starts_with("vf") && instruction.contains("madd"));
            counts.divisions += usize::from(instruction.starts_with("vdiv"));
            let on_stack = operands.contains("(%rsp") || (has_frame && operands.contains("(%rbp"));
            // Sources stand in front: an instruction whose last operand is memory writes it.
            let writes = operands.rsplit(", ").next().is_some_and(|last| last.contains('('));
            counts.spills += usize::from(on_stack && writes);
            counts.reloads += usize::from(on_stack && !writes);
            counts.loads += usize::from(operands.contains('(') && !writes);
        }
        counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: &str = "\
\t.text
clean:
\t.cfi_startproc
.LBB0_1:
\tmovq\t8(%rsp), %rdx
.LBB0_2:
\tvmovups\t(%rax), %zmm4
\tvbroadcastss\t(%rbp), %zmm5
\tvfmadd231ps\t%zmm4, %zmm5, %zmm0
\tvfmadd231ps\t(%rbp,%rcx,4){1to16}, %zmm4, %zmm1
\tjne\t.LBB0_2
\tjne\t.LBB0_1
.LBB0_3:
\tvfmadd231ps\t64(%rsp), %zmm4, %zmm1
\tvfmadd231ps\t%zmm4, %zmm4, %zmm1
\tvdivps\t%zmm1, %zmm2, %zmm3
\tjb\t.LBB0_3
\tretq
spilling:
\tmovq\t%rsp, %rbp
.LBB1_1:
\tvfmadd231ps\t-64(%rbp), %ymm4, %ymm1
\tvmovups\t%ymm3, 32(%rsp) {%k1}
\tjne\t.LBB1_1
\tjmp\t.LBB1_9
.LBB1_8:
\tvfmadd231ps\t%ymm2, %ymm4, %ymm1
\tvmovups\t%ymm3, 32(%rsp)
.LBB1_9:
\tretq
.LBB1_10:
\tjmp\t.LBB1_8
";

    #[test]
    fn only_innermost_loops_of_multiply_adds_count() {
        let functions = functions(SAMPLE);
        assert_eq!(functions.iter().map(|function| function.symbol).collect::<Vec<_>>(), ["clean", "spilling"]);
        let loops = functions[0].main_loops(2);
        assert_eq!(loops, [Counts { fmas: 2, loads: 3, spills: 0, reloads: 0, divisions: 0 }]);
        assert!(functions[0].main_loops(3).is_empty());
    }

    #[test]
    fn a_block_behind_the_rest_makes_no_loop() {
        assert_eq!(functions(SAMPLE)[1].loops().len(), 1);
    }

    #[test]
    fn stack_accesses_of_vectors_are_spills() {
        let loops = functions(SAMPLE)[1].main_loops(1);
        assert_eq!(loops, [Counts { fmas: 1, loads: 1, spills: 1, reloads: 1, divisions: 0 }]);
    }
}
