use super::*;
use crate::isa::{self, Isa};

fn kernels() -> impl Iterator<Item = &'static Kernels> {
    Isa::available().into_iter().map(|isa| isa::select(isa).expect("an available instruction set"))
}

/// Shapes on both sides of the strategies' edges, with operands in every layout.
fn shapes(kernels: &Kernels) -> impl Iterator<Item = ProductShape> {
    const SIZES: [(usize, usize, usize); 11] = [
        (1, 1, 1),
        (1, 500, 1),
        (3, 40, 700),
        (40, 3, 700),
        (64, 64, 2),
        (64, 500, 300),
        (500, 64, 20),
        (1000, 1000, 1000),
        (2000, 5, 256),
        (100, 1024, 8),
        (40, 3, 45),
    ];
    // Rows, columns, neither contiguous.
    let layouts = |rows: usize, cols: usize| [(cols, 1), (1, rows), (2 * cols, 2)];
    let panel_width = kernels.nr();
    SIZES.into_iter().flat_map(move |(m, n, k)| {
        (0..162).map(move |index| ProductShape {
            m,
            n,
            k,
            a_strides: layouts(m, k)[index % 3],
            b_strides: if index < 81 { layouts(k, n)[index / 3 % 3] } else { (panel_width, k) },
            c_strides: layouts(m, n)[index / 9 % 3],
            z_strides: [None, Some((n, 1)), Some((1, m))][index / 27 % 3],
            is_prepacked: index >= 81,
            is_updated: index % 5 == 4,
            is_plain: index % 2 == 0,
        })
    })
}

#[test]
fn strategies_ask_only_what_the_kernels_can() {
    let mut narrow_count = 0;
    for (kernels, shape) in kernels().flat_map(|kernels| shapes(kernels).map(move |shape| (kernels, shape))) {
        let strategy = strategy(kernels, &shape, Summation::Chain);
        let chosen = if strategy.transposed { shape.transposed() } else { shape };
        let context = format!("{:?}: {strategy:?} for {shape:?}", kernels.isa);
        assert_eq!(strategy.summation, Summation::Chain, "{context}");
        assert!((1..=kernels.tiles.len()).contains(&strategy.panel_vectors), "{context}");
        match strategy.packing {
            Packing::InPlace => assert_eq!(chosen.b_strides.1, 1, "{context}"),
            Packing::Transpose => assert_eq!(chosen.b_strides.0, 1, "{context}"),
            Packing::Copy => {}
            Packing::Prepacked => {
                assert_eq!((strategy.transposed, strategy.panel_vectors), (false, kernels.panel_vectors));
            }
        }
        assert_eq!(strategy.packing == Packing::Prepacked, shape.is_prepacked, "{context}");
        let is_packed_now = matches!(strategy.packing, Packing::Copy | Packing::Transpose);
        assert!(!is_packed_now || strategy.panel_vectors == kernels.panel_vectors, "{context}");
        let routine = strategy.routine;
        assert!(!shape.is_updated || strategy.strip != (routine == Routine::Outer), "{context}");
        let goes_by_runs = strategy.strip && chosen.has_contiguous_rows();
        assert!(!strategy.strip_by_runs || goes_by_runs, "{context}");
        let panel_fits = strategy.panel_vectors <= kernels.panel_vectors;
        assert!(!strategy.strip || panel_fits, "a strip has room for a tall product's panel: {context}");
        // Written for sums of few terms, with nothing before or behind, into rows in place.
        let has_few_terms = (1..=outer::MAX_TERMS).contains(&chosen.k);
        let fits_outer = has_few_terms && chosen.is_plain && chosen.has_contiguous_rows() && chosen.b_strides.1 == 1;
        assert!(routine != Routine::Outer || fits_outer, "{context}");
        let fits_rows = strategy.packing == Packing::InPlace && !strategy.strip && chosen.k <= SUM_BLOCK;
        let takes_rows = fits_rows && chosen.is_plain && routine != Routine::Outer;
        assert!(!strategy.along_rows || takes_rows, "{context}");
        let fits_axpyf = chosen.m == 1 && chosen.has_contiguous_rows() && chosen.b_strides.1 == 1;
        assert!(routine != Routine::Axpyf || fits_axpyf && !strategy.strip, "{context}");
        let has_few_cols = kernels.narrow.is_some() && chosen.n <= narrow::MAX_COLS && chosen.a_strides.1 == 1;
        let fits_narrow = has_few_cols && chosen.is_plain && chosen.has_contiguous_rows() && chosen.b_strides.1 == 1;
        let is_as_it_stands = !strategy.transposed && !strategy.strip && strategy.packing == Packing::InPlace;
        assert!(routine != Routine::Narrow || fits_narrow && is_as_it_stands, "{context}");
        narrow_count += usize::from(routine == Routine::Narrow);
    }
    let has_narrow = kernels().any(|kernels| kernels.narrow.is_some());
    assert_eq!(narrow_count > 0, has_narrow);
}

#[test]
fn columns_behind_whole_vectors_are_split_off_once() {
    let layouts = |rows: usize, cols: usize| [(cols, 1), (1, rows)];
    let (mut rows, mut columns, mut most) = (0, 0, 0);
    for kernels in kernels() {
        for (m, n, k, index) in (1..160).flat_map(|n| (0..2).map(move |index| (40, n, 40, index))) {
            let shape = ProductShape {
                m,
                n,
                k,
                a_strides: layouts(m, k)[index],
                b_strides: (n, 1),
                c_strides: (n, 1),
                z_strides: None,
                is_prepacked: false,
                is_updated: false,
                is_plain: true,
            };
            let cols = split_cols(kernels, &shape);
            let context = format!("{:?}: {cols} columns of {shape:?}", kernels.isa);
            assert!(cols == 0 || kernels.vectors(n) == kernels.vectors(n - cols) + 1, "{context}");
            for n in [cols, n - cols] {
                assert!(cols == 0 || split_cols(kernels, &ProductShape { n, ..shape }) == 0, "{context}");
            }
            for small in [ProductShape { k: 20, ..shape }, ProductShape { is_updated: true, ..shape }] {
                assert_eq!(split_cols(kernels, &small), 0, "{context}");
            }
            rows += usize::from(cols > 0 && index == 0);
            columns += usize::from(cols > 0 && index == 1);
            most = most.max(cols);
        }
    }
    let has_wide = kernels().any(|kernels| kernels.masked_loads_are_free);
    assert_eq!((rows > 0, columns > 0, most), (has_wide, has_wide, if has_wide { narrow::MAX_COLS } else { 0 }));
}

/// The order of a sum is settled before; a strategy cannot change it.
#[test]
fn lanes_stay_lanes() {
    for (kernels, shape) in kernels().flat_map(|kernels| shapes(kernels).map(move |shape| (kernels, shape))) {
        // Dot products run along the rows, which are no panels.
        let shape = ProductShape { is_prepacked: false, ..shape };
        let strategy = strategy(kernels, &shape, Summation::Lanes);
        assert_eq!(strategy.summation, Summation::Lanes, "{shape:?}");
        assert!(!strategy.transposed || shape.n == 1 && shape.c_strides.0 == 1, "{shape:?}");
    }
}

#[test]
fn plain_tiles_cover_the_output_and_fit_a_kernel() {
    let mut runs = 0;
    for kernels in kernels() {
        for (m, n, k) in (1..64).flat_map(|m| [(m, 1, 9), (m, 10, 30), (m, 30, 10), (m, 64, 2), (m, 384, 1)]) {
            let layouts = [(n, 1), (1, k), (2 * n, 2)];
            for b_strides in layouts {
                let shape = ProductShape {
                    m,
                    n,
                    k,
                    a_strides: (k, 1),
                    b_strides,
                    c_strides: (n, 1),
                    z_strides: None,
                    is_prepacked: false,
                    is_updated: false,
                    is_plain: true,
                };
                let Some(plain) = plain_tiles(kernels, &shape) else { continue };
                runs += 1;
                let context = format!("{:?}: {plain:?} of {shape:?}", kernels.isa);
                let PlainTiles { vectors, height } = plain;
                assert!(m % height == 0 && height <= kernels.tiles[vectors - 1].len(), "{context}");
                // One run of tiles, or one tile in each panel; packed, no wider than the scratch.
                assert!(vectors == kernels.vectors(n) || vectors < kernels.vectors(n) && height == m, "{context}");
                let is_one_panel = vectors == kernels.vectors(n) && vectors <= kernels.panel_vectors;
                assert!(b_strides.1 == 1 || b_strides.0 == 1 && is_one_panel, "{context}");
                assert!(!strategy(kernels, &shape, Summation::Chain).transposed, "{context}");
                let longer = ProductShape { k: SUM_BLOCK + 1, ..shape };
                assert_eq!(plain_tiles(kernels, &longer), None, "{context}");
            }
        }
    }
    assert!(runs > 0);
}
