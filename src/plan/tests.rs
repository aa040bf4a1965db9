use super::*;
use crate::isa::{self, Isa};

fn kernels() -> impl Iterator<Item = &'static Kernels> {
    Isa::available().into_iter().map(|isa| isa::select(isa).expect("an available instruction set"))
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
