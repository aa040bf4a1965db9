use super::*;
use crate::isa::{self, Isa};

fn kernels() -> impl Iterator<Item = &'static Kernels> {
    Isa::available().into_iter().map(|isa| isa::select(isa).expect("an available instruction set"))
}

#[test]
fn shares_cover_a_length_at_multiples_of_the_grain() {
    for (len, grain) in (0..=70).flat_map(|len| [1, 3, 8, 16].map(|grain| (len, grain))) {
        for parts in 1..=20 {
            let shares: Vec<_> = (0..parts).map(|index| share(len, grain, index, parts)).collect();
            assert_eq!((shares[0].start, shares[parts - 1].end), (0, len));
            assert!(shares.windows(2).all(|pair| pair[0].end == pair[1].start), "{shares:?}");
            assert!(shares[1..].iter().all(|share| share.start % grain == 0 || share.start == len), "{shares:?}");
            let grains = shares.iter().map(|share| share.len().div_ceil(grain));
            assert!(grains.clone().max() <= grains.min().map(|least| least + 1), "{shares:?} of grain {grain}");
        }
    }
}

#[test]
fn parts_cover_an_output_once() {
    for kernels in kernels() {
        for (m, n) in [0, 1, 2, 17, 64, 100].into_iter().flat_map(|m| [0, 1, 15, 64, 65, 300].map(|n| (m, n))) {
            for parts in 1..=17 {
                let mut times = vec![0; m * n];
                for part in (0..parts).map(|index| part(kernels, m, n, index, parts)) {
                    for i in part.rows {
                        part.cols.clone().for_each(|j| times[i * n + j] += 1);
                    }
                }
                assert!(times.iter().all(|&times| times == 1), "{m}×{n} in {parts} parts");
            }
        }
    }
}

#[test]
fn workers_are_as_many_as_the_work_is_worth() {
    assert_eq!(workers(0, 8), 1);
    assert_eq!(workers(usize::MAX, 8), 8);
    assert_eq!(workers(usize::MAX, 1), 1);
    let counts = (0..40).map(|bits| workers(1 << bits, 5));
    assert!(counts.clone().all(|count| (1..=5).contains(&count)) && counts.is_sorted());
}

/// Shapes on both sides of the strategies' edges, with operands in every layout.
fn shapes() -> impl Iterator<Item = ProductShape> {
    const SIZES: [(usize, usize, usize); 9] = [
        (1, 1, 1),
        (1, 500, 1),
        (3, 40, 700),
        (40, 3, 700),
        (64, 64, 2),
        (64, 500, 300),
        (500, 64, 20),
        (1000, 1000, 1000),
        (2000, 5, 256),
    ];
    // Rows, columns, neither contiguous.
    let layouts = |rows: usize, cols: usize| [(cols, 1), (1, rows), (2 * cols, 2)];
    SIZES.into_iter().flat_map(move |(m, n, k)| {
        (0..81).map(move |index| ProductShape {
            m,
            n,
            k,
            a_strides: layouts(m, k)[index % 3],
            b_strides: layouts(k, n)[index / 3 % 3],
            c_strides: layouts(m, n)[index / 9 % 3],
            z_strides: [None, Some((n, 1)), Some((1, m))][index / 27],
            is_plain: index % 2 == 0,
        })
    })
}

#[test]
fn strategies_ask_only_what_the_kernels_can() {
    for (kernels, shape) in kernels().flat_map(|kernels| shapes().map(move |shape| (kernels, shape))) {
        let strategy = strategy(kernels, &shape, Summation::Chain);
        let chosen = if strategy.transposed { shape.transposed() } else { shape };
        let context = format!("{:?}: {strategy:?} for {shape:?}", kernels.isa);
        assert_eq!(strategy.summation, Summation::Chain, "{context}");
        assert!((1..=kernels.tiles.len()).contains(&strategy.panel_vectors), "{context}");
        match strategy.packing {
            Packing::InPlace => assert_eq!(chosen.b_strides.1, 1, "{context}"),
            Packing::Transpose => assert_eq!(chosen.b_strides.0, 1, "{context}"),
            Packing::Copy => {}
        }
        assert!(strategy.packing == Packing::InPlace || strategy.panel_vectors == kernels.panel_vectors, "{context}");
        // Written for sums of one term, with nothing before or behind, into rows in place.
        let fits_outer = chosen.k == 1 && chosen.is_plain && chosen.has_contiguous_rows() && chosen.b_strides.1 == 1;
        assert!(!strategy.outer || fits_outer, "{context}");
    }
}

/// The order of a sum is settled before; a strategy cannot change it.
#[test]
fn lanes_stay_lanes() {
    for (kernels, shape) in kernels().flat_map(|kernels| shapes().map(move |shape| (kernels, shape))) {
        let strategy = strategy(kernels, &shape, Summation::Lanes);
        assert_eq!((strategy.summation, strategy.transposed), (Summation::Lanes, false), "{shape:?}");
    }
}
