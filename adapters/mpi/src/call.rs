//! The agreement of all ranks at the start of a call, so that all of them make it or none.

use crate::error::Error;
use crate::links::Links;
use crate::plan::Blocks;
use crate::tags;
use core::fmt;
use fused_dense::{Network, Part, SUM_BLOCK, WholeBatch};

/// The calls that all ranks make together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub(crate) enum Call {
    Step = 1,
    Gradients,
    Apply,
    Checkpoint,
    Epoch,
    Sum,
}

impl Call {
    const ALL: [Self; 6] = [Self::Step, Self::Gradients, Self::Apply, Self::Checkpoint, Self::Epoch, Self::Sum];
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Step => "a step",
            Self::Gradients => "gradients",
            Self::Apply => "the application of gradients",
            Self::Checkpoint => "a checkpoint",
            Self::Epoch => "the end of an epoch",
            Self::Sum => "a sum",
        })
    }
}

/// A rank's side of a call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Side {
    /// Samples of its part.
    pub(crate) samples: u64,
    /// Whether they have weights.
    pub(crate) is_weighted: bool,
    /// Anything else that the call has to tell.
    pub(crate) note: u64,
    /// Anything else that has to be the same on all ranks.
    pub(crate) same: u64,
}

/// Elements of a side as a letter.
const WORDS: usize = 8;

/// Tells all ranks of this one's side of a call, or of its error, and hears theirs.
///
/// # Errors
/// This rank's error; else the first other rank's as [`Error::OtherRank`]; [`Error::OutOfStep`] where ranks are in different
/// calls; and those of waiting.
pub(crate) fn agree(
    links: &mut Links<'_>,
    network: &Network,
    call: Call,
    side: Result<Side, Error>,
) -> Result<Vec<Side>, Error> {
    let words = side.as_ref().err().map(|error| error.to_string().into_bytes()).unwrap_or_default();
    let own = side.as_ref().copied().unwrap_or_default();
    let optimizer = fingerprint(format!("{:?}", network.optimizer()).bytes().map(u64::from));
    // One more than the length of the error, so that an empty one is seen too.
    let failed = if side.is_err() { words.len() as u64 + 1 } else { 0 };
    let weighted = u64::from(own.is_weighted);
    let letter = vec![call as u64, network.steps(), optimizer, failed, own.samples, weighted, own.note, own.same];
    let letters = links.exchange(letter, |_| WORDS, tags::CALL)?;
    let lens: Vec<usize> = letters.iter().map(|letter| (letter[3] as usize).saturating_sub(1)).collect();
    if let Some(failed) = letters.iter().position(|letter| letter[3] > 0) {
        let messages = links.exchange(words, |rank| lens[rank], tags::WORDS)?;
        side?;
        return Err(Error::OtherRank { rank: failed, message: String::from_utf8_lossy(&messages[failed]).into() });
    }
    side?;
    check_alike(&letters)?;
    Ok(letters
        .iter()
        .map(|letter| Side { samples: letter[4], is_weighted: letter[5] != 0, note: letter[6], same: letter[7] })
        .collect())
}

/// Whether all ranks are in the same call, at the same step, with the same settings.
fn check_alike(letters: &[Vec<u64>]) -> Result<(), Error> {
    let same = |letter: &[u64]| [letter[0], letter[1], letter[2], letter[7]];
    let first = &letters[0];
    let Some(rank) = letters.iter().position(|letter| same(letter) != same(first)) else { return Ok(()) };
    let of = |letter: &[u64]| {
        let call = Call::ALL.into_iter().find(|call| *call as u64 == letter[0]);
        let call = call.map_or_else(|| "an unknown call".into(), |call| call.to_string());
        format!(
            "{call} after {} steps (optimiser {:x}, order or number of values {:x})",
            letter[1], letter[2], letter[7]
        )
    };
    Err(Error::OutOfStep { rank, expected: of(first), found: of(&letters[rank]) })
}

/// The parts of a batch on all ranks.
#[derive(Clone, Debug)]
pub(crate) struct Batch {
    pub(crate) blocks: Blocks,
    pub(crate) whole: WholeBatch,
}

impl Batch {
    /// Puts the parts together, which has the ranks tell each other their weights where they have any.
    ///
    /// # Errors
    /// [`Error::Part`], [`Error::Weights`], [`Error::Network`] where the weights have no sum to divide by, and those of
    /// waiting.
    pub(crate) fn of(links: &mut Links<'_>, sides: &[Side], part: &Part<'_>) -> Result<Self, Error> {
        let samples: Vec<usize> = sides.iter().map(|side| side.samples as usize).collect();
        check_parts(&samples)?;
        let blocks = Blocks(samples.iter().map(|samples| samples.div_ceil(SUM_BLOCK)).collect());
        let total = samples.iter().sum();
        let weighted = |wanted: bool| blocks.workers().find(|&rank| sides[rank].is_weighted == wanted);
        let whole = match (weighted(true), weighted(false)) {
            (None, _) => WholeBatch::new(total),
            (Some(weighted), Some(unweighted)) => return Err(Error::Weights { weighted, unweighted }),
            (Some(_), None) => {
                let weights = links.exchange(part.block_weights().collect(), |rank| blocks.0[rank], tags::WEIGHTS)?;
                WholeBatch::weighted(total, weights.iter().flatten().copied())?
            }
        };
        Ok(Self { blocks, whole })
    }
}

/// Whether every part but the last is whole blocks.
fn check_parts(samples: &[usize]) -> Result<(), Error> {
    let last = samples.iter().rposition(|&samples| samples > 0).unwrap_or(0);
    match samples[..last].iter().position(|samples| !samples.is_multiple_of(SUM_BLOCK)) {
        None => Ok(()),
        Some(rank) => Err(Error::Part { rank, samples: samples[rank], block: SUM_BLOCK }),
    }
}

/// A number that other values hardly have: FNV-1a over words.
pub(crate) fn fingerprint(words: impl Iterator<Item = u64>) -> u64 {
    words.fold(0xcbf2_9ce4_8422_2325, |hash, word| (hash ^ word).wrapping_mul(0x0000_0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_whole_blocks_but_for_the_last() {
        for parts in [&[0, 0][..], &[256, 5], &[256, 5, 0], &[0, 512, 0, 1], &[7, 0, 0]] {
            check_parts(parts).unwrap();
        }
        let found = check_parts(&[256, 100, 0, 1]).unwrap_err();
        assert!(matches!(found, Error::Part { rank: 1, samples: 100, block: 256 }), "{found}");
    }

    #[test]
    fn ranks_in_other_calls_are_named() {
        let letter = |call, steps| vec![call as u64, steps, 7, 0, 0, 0, 0, 0];
        check_alike(&[letter(Call::Step, 3), letter(Call::Step, 3)]).unwrap();
        let found = check_alike(&[letter(Call::Step, 3), letter(Call::Step, 3), letter(Call::Apply, 4)]).unwrap_err();
        assert!(found.to_string().starts_with("rank 2: expected a step after 3 steps"), "{found}");
        assert!(found.to_string().contains("found the application of gradients after 4 steps"), "{found}");
    }
}
