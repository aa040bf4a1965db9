//! Random numbers that are the same on every platform: the generator behind initial values, and the order of samples.
//!
//! xoshiro256++ (Blackman and Vigna, "Scrambled linear pseudorandom number generators", 2021), seeded by SplitMix64 (Steele,
//! Lea and Flood, "Fast splittable pseudorandom number generators", 2014). Both are defined by integer operations alone.

use crate::error::{Error, Operand};
use rand_core::{Rng, SeedableRng};
use rand_xoshiro::{SplitMix64, Xoshiro256PlusPlus};

/// The use that numbers are drawn for. Each has numbers of its own, so that one seed serves all.
#[derive(Clone, Copy)]
pub(crate) enum Purpose {
    InitialValues = 0,
    SampleOrder = 1,
}

/// The generator of one stream of a seed. Its state is four numbers of SplitMix64 from the seed, the last two combined by
/// exclusive or with two from the stream: no other seed and stream of this purpose have the same state.
pub(crate) fn generator(purpose: Purpose, seed: u64, stream: u64) -> Xoshiro256PlusPlus {
    let mut of_seed = SplitMix64::seed_from_u64(seed);
    let mut of_stream = SplitMix64::seed_from_u64(stream);
    for _ in 0..2 * purpose as u64 {
        of_stream.next_u64();
    }
    let mut state = [0; 4].map(|_: u64| of_seed.next_u64());
    state[2] ^= of_stream.next_u64();
    state[3] ^= of_stream.next_u64();
    Xoshiro256PlusPlus::from_seed(bytemuck::cast(state.map(u64::to_le)))
}

/// One of the integers `0..bound`, each as likely as the others: Lemire, "Fast random integer generation in an interval",
/// 2019. `bound` must not be 0.
fn below(generator: &mut impl Rng, bound: u64) -> u64 {
    loop {
        let product = u128::from(generator.next_u64()) * u128::from(bound);
        let low = product as u64;
        // Of the 2^64 numbers, `2^64 mod bound` are too many for equal shares. They are drawn again; only a `low` below
        // `bound` can be one, which spares the division.
        if low >= bound || low >= bound.wrapping_neg() % bound {
            return (product >> 64) as u64;
        }
    }
}

/// The order in which an epoch shows samples: a permutation, by seed and epoch alone, in memory that is used again.
///
/// [`Network::fit`](crate::Network::fit) goes through its samples in this order, so that a training loop of your own can do the
/// same. It holds out the last samples in the order of epoch 0.
///
/// ```
/// use fused_dense::Shuffle;
///
/// let mut shuffle = Shuffle::default();
/// assert_eq!(shuffle.order(12, 0, 1)?, [11, 10, 5, 0, 4, 8, 9, 2, 3, 6, 7, 1]);
/// # Ok::<(), fused_dense::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Shuffle {
    order: Vec<usize>,
}

impl Shuffle {
    /// The numbers `0..samples` in random order, every order as likely as the others (Fisher and Yates, in the form of
    /// Durstenfeld, 1964). It depends on nothing but the arguments.
    ///
    /// # Errors
    /// [`Error::TooLarge`] where there is no memory for it.
    pub fn order(&mut self, samples: usize, seed: u64, epoch: u64) -> Result<&[usize], Error> {
        self.order.clear();
        self.order.try_reserve_exact(samples).map_err(|_| Error::TooLarge { operand: Operand::X })?;
        self.order.extend(0..samples);
        let mut generator = generator(Purpose::SampleOrder, seed, epoch);
        for last in (1..samples).rev() {
            let other = below(&mut generator, last as u64 + 1);
            self.order.swap(last, other as usize);
        }
        Ok(&self.order)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(samples: usize, seed: u64, epoch: u64) -> Vec<usize> {
        Shuffle::default().order(samples, seed, epoch).expect("memory").to_vec()
    }

    #[test]
    fn an_order_is_the_same_everywhere() {
        assert_eq!(order(12, 0, 0), [5, 0, 8, 10, 4, 7, 2, 3, 9, 1, 6, 11]);
        assert_eq!(order(12, 0, 1), [11, 10, 5, 0, 4, 8, 9, 2, 3, 6, 7, 1]);
        assert_eq!(order(12, 7, u64::MAX), [8, 11, 5, 6, 3, 2, 7, 1, 9, 0, 10, 4]);
        let long = order(1000, 3, 5);
        let mixed = long.iter().fold(0_u64, |hash, index| hash.wrapping_mul(1_000_003).wrapping_add(*index as u64));
        assert_eq!(mixed, 0xd68f_ce9b_cc17_ba9e);
    }

    #[test]
    fn an_order_holds_every_sample_once() {
        let mut shuffle = Shuffle::default();
        // Shorter ones behind longer ones: nothing of them is left.
        for samples in [300, 2, 1, 0, 17] {
            let mut found = shuffle.order(samples, 1, 2).expect("memory").to_vec();
            assert_eq!(found, order(samples, 1, 2), "the memory's last contents do not matter");
            found.sort_unstable();
            assert_eq!(found, (0..samples).collect::<Vec<_>>());
        }
    }

    #[test]
    #[cfg(not(miri))]
    fn every_order_comes_as_often() {
        let mut counts = std::collections::BTreeMap::new();
        let epochs = 24_000;
        for epoch in 0..epochs {
            *counts.entry(order(4, 11, epoch)).or_insert(0.0) += 1.0;
        }
        assert_eq!(counts.len(), 24);
        // The statistic has 23 degrees of freedom: it is above 50 for one seed in a thousand.
        let expected = epochs as f64 / 24.0;
        let squares: f64 = counts.values().map(|count: &f64| (count - expected).powi(2) / expected).sum();
        assert!(squares < 50.0, "{squares}");
    }

    #[test]
    fn an_order_is_made_without_allocating_again() {
        let mut shuffle = Shuffle::default();
        let first = shuffle.order(100, 0, 0).expect("memory").as_ptr();
        let second = shuffle.order(100, 0, 1).expect("memory").as_ptr();
        assert_eq!(first, second);
    }

    #[test]
    fn too_many_samples_are_an_error() {
        let mut shuffle = Shuffle::default();
        assert_eq!(shuffle.order(usize::MAX, 0, 0), Err(Error::TooLarge { operand: Operand::X }));
    }

    /// The numbers that are drawn again are those that would make some integers likelier.
    #[test]
    fn bounded_integers_have_no_bias() {
        struct Given(Vec<u64>);
        impl rand_core::TryRng for Given {
            type Error = core::convert::Infallible;
            fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
                unreachable!("only whole words are drawn")
            }
            fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
                Ok(self.0.pop().expect("a number"))
            }
            fn try_fill_bytes(&mut self, _: &mut [u8]) -> Result<(), Self::Error> {
                unreachable!("only whole words are drawn")
            }
        }
        // 2^64 = 3 · k + 1: of all numbers, 0 alone is too many.
        assert_eq!(below(&mut Given(vec![u64::MAX, 0]), 3), 2);
        assert_eq!(below(&mut Given(vec![1]), 3), 0);
        // 2^64 = bound + 2^63 - 1: nearly half of all numbers are too many.
        let mut drawn = Given(vec![3, 2]);
        assert_eq!(below(&mut drawn, (1 << 63) + 1), 1);
        assert!(drawn.0.is_empty(), "2 was drawn again");
        assert_eq!(below(&mut Given(vec![u64::MAX]), 1), 0);
    }

    #[test]
    fn streams_and_purposes_differ() {
        let first = |purpose, seed, stream| generator(purpose, seed, stream).next_u64();
        let mut found: Vec<u64> = Vec::new();
        for purpose in [Purpose::InitialValues, Purpose::SampleOrder] {
            for seed in [0, 1, u64::MAX] {
                found.extend([0, 1, 2, 1 << 63, u64::MAX].map(|stream| first(purpose, seed, stream)));
            }
        }
        let all = found.len();
        found.sort_unstable();
        found.dedup();
        assert_eq!(found.len(), all);
    }
}
