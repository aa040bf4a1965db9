//! The tags of messages. A rank ends a call only when all its messages are done, so that calls may use them again.

/// The state of a call on each rank.
pub(crate) const CALL: i32 = 1;
/// The error of a rank that refuses a call, in words.
pub(crate) const WORDS: i32 = 2;
/// The weights of blocks.
pub(crate) const WEIGHTS: i32 = 3;
/// The costs of blocks, and whether gradients are finite.
pub(crate) const COSTS: i32 = 4;
/// Rank 0's description of itself, and how others differ.
pub(crate) const HANDSHAKE: i32 = 5;
/// Measurements.
pub(crate) const MEASURE: i32 = 6;
/// Slices of parameters, or of the optimiser's arrays.
pub(crate) const SLICES: i32 = 7;

/// Sums of blocks, or partial totals on their way through a chain, of a machine. MPI allows tags up to 32767 at least.
pub(crate) fn sums(machine: usize) -> i32 {
    16 + 2 * machine as i32
}

/// Totals of a machine.
pub(crate) fn totals(machine: usize) -> i32 {
    sums(machine) + 1
}
