use super::*;
use crate::isa::{self, Isa};
use crate::plan::Routine;

fn kernels() -> impl Iterator<Item = &'static Kernels> {
    Isa::available().into_iter().map(|isa| isa::select(isa).expect("an available instruction set"))
}

/// Plans of every kind for contiguous operands.
fn strategies() -> impl Iterator<Item = Strategy> {
    let packings = [Packing::InPlace, Packing::Copy, Packing::Transpose, Packing::Prepacked];
    let orders = [Summation::Chain, Summation::Lanes];
    orders.into_iter().flat_map(move |summation| {
        packings.into_iter().flat_map(move |packing| {
            [false, true].map(|pack_left| Strategy {
                summation,
                transposed: false,
                packing,
                panel_vectors: 4,
                routine: Routine::Tiles,
                is_far: false,
                along_rows: false,
                pack_left,
                strip: false,
                strip_by_runs: false,
            })
        })
    })
}

fn shape(m: usize, n: usize, k: usize) -> ProductShape {
    let (a_strides, b_strides, c_strides) = ((k, 1), (n, 1), (n, 1));
    ProductShape {
        m,
        n,
        k,
        a_strides,
        b_strides,
        c_strides,
        z_strides: None,
        is_prepacked: false,
        is_updated: false,
        is_plain: false,
    }
}

fn supply(workers: usize, cost: f64) -> Supply {
    Supply { workers, cost, backward_cost: cost, move_cost: cost / 2e3, source: "a test" }
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
    for (kernels, strategy) in kernels().flat_map(|kernels| strategies().map(move |strategy| (kernels, strategy))) {
        for (m, n) in [0, 1, 2, 17, 64, 100].into_iter().flat_map(|m| [0, 1, 15, 64, 65, 300].map(|n| (m, n))) {
            for workers in 1..=17 {
                let grid = grid(kernels, &shape(m, n, 200), &strategy, workers);
                assert!((1..=MAX_PIECES * workers).contains(&grid.parts()), "{grid:?} for {workers}");
                let mut times = vec![0; m * n];
                for part in (0..grid.parts()).map(|index| grid.part(m, n, index)) {
                    let starts_a_panel = part.cols.start.is_multiple_of(strategy.panel_vectors * kernels.lanes);
                    let is_cut_well = starts_a_panel || part.cols.start == n || strategy.packing != Packing::Prepacked;
                    assert!(is_cut_well, "{part:?} of panels");
                    for i in part.rows {
                        part.cols.clone().for_each(|j| times[i * n + j] += 1);
                    }
                }
                assert!(times.iter().all(|&times| times == 1), "{m}×{n} cut by {grid:?}");
            }
        }
    }
}

/// Nobody has less than half of what another has, where the output is large enough to be cut so.
#[test]
fn parts_are_alike() {
    for (kernels, strategy) in kernels().flat_map(|kernels| strategies().map(move |strategy| (kernels, strategy))) {
        for (m, n) in [(256, 256), (1000, 30), (1, 4096), (2000, 10), (100, 700)] {
            for workers in [2, 3, 4, 8] {
                let grid = grid(kernels, &shape(m, n, 200), &strategy, workers);
                let sizes = (0..grid.parts()).map(|index| grid.part(m, n, index));
                let sizes: Vec<_> = sizes.map(|part| part.rows.len() * part.cols.len()).collect();
                let (least, most) = (sizes.iter().min(), sizes.iter().max());
                assert!(least.zip(most).is_some_and(|(least, most)| 2 * least >= *most), "{grid:?}: {sizes:?}");
                assert!(sizes.len() * 4 >= workers * 3, "{m}×{n}: {grid:?} for {workers}");
            }
        }
    }
}

#[test]
fn workers_are_as_many_as_the_work_is_worth() {
    assert_eq!(workers(0.0, 0.0, &supply(8, 2e3)), 1);
    assert_eq!(workers(f64::MAX, 0.0, &supply(8, 2e3)), 8);
    assert_eq!(workers(f64::MAX, 0.0, &supply(1, 0.0)), 1);
    assert_eq!(workers(10e3, 0.0, &supply(2, 2e3)), 2);
    assert_eq!(workers(10e3, 20e3, &supply(2, 2e3)), 1, "half of what is moved costs more than half of the work");
    for cost in [2e3, 60e3] {
        let counts = (0..40).map(|bits| workers((1_u64 << bits) as f64, 0.0, &supply(5, cost)));
        assert!(counts.clone().all(|count| (1..=5).contains(&count)) && counts.is_sorted());
    }
}

/// Work a little larger is never predicted to take longer, nor much longer than on one worker less.
#[test]
fn sharing_has_no_cliffs() {
    let supply = supply(16, 2e3);
    for moved in [0.0, 500.0, 5000.0] {
        let time = |cycles: f64| shared_cycles(cycles, moved, &supply, workers(cycles, moved, &supply));
        let mut last = 0.0;
        for cycles in (0..4000).map(|step| 100.0 * f64::from(step)) {
            let now = time(cycles);
            assert!(now >= last && now - last <= 100.0 + 1e-6, "{cycles}: {now} after {last}");
            last = now;
        }
    }
}

/// Whole blocks go to each worker, up to as many as there is room for; one block cannot be shared.
#[test]
fn blocks_are_shared_whole() {
    let blocks = |count, most| Blocks { count, most, cycles: 100e3, sums: 100 };
    assert!(block_workers(&blocks(0, 8), &supply(8, 2e3)).is_none());
    assert!(block_workers(&blocks(1, 8), &supply(8, 2e3)).is_none());
    assert!(block_workers(&blocks(16, 0), &supply(8, 2e3)).is_none());
    assert!(block_workers(&blocks(16, 8), &supply(1, 0.0)).is_none());
    for (count, most, members, expected, rounds) in
        [(2, 8, 8, 2, 1), (16, 16, 8, 8, 2), (9, 16, 8, 5, 2), (16, 4, 8, 4, 4)]
    {
        let (workers, cycles) = block_workers(&blocks(count, most), &supply(members, 2e3)).expect("two blocks");
        assert_eq!(workers, expected, "{count} blocks, {most} at a time, for {members}");
        assert!((1.0..1.1).contains(&(cycles / (f64::from(rounds) * 100e3))), "{cycles} cycles");
    }
}

/// Where an output's columns are contiguous its rows are shared, and the other way round, at cache lines.
#[test]
fn parts_do_not_meet_in_memory() {
    let strategy = Strategy { summation: Summation::Chain, pack_left: false, ..strategies().next().expect("a plan") };
    for kernels in kernels() {
        for (m, n) in [(256, 256), (256, 128), (1024, 64)] {
            let across = grid(kernels, &shape(m, n, 1), &strategy, 2);
            assert_eq!((across.rows, across.cols), (2, 1), "{m}×{n}");
            let down = grid(kernels, &ProductShape { c_strides: (1, m), ..shape(m, n, 1) }, &strategy, 2);
            assert_eq!((down.rows, down.cols), (1, 2), "{m}×{n}");
        }
        let one_row = ProductShape { c_strides: (1, 500), ..shape(500, 1, 300) };
        let grid = grid(kernels, &one_row, &strategy, 3);
        let starts = (0..grid.parts()).map(|index| grid.part(500, 1, index).rows.start);
        assert!(grid.parts() > 1 && starts.clone().all(|start| start % LINE == 0), "{grid:?}");
    }
}

/// Parameters that change cores each step are part of its price, and nothing where cores share a cache.
#[test]
fn steps_are_shared_where_they_pay() {
    let supply = |workers, move_cost| Supply { move_cost, ..supply(workers, 2e3) };
    assert!(step_pays(264e3, 79_000, &supply(2, 0.1)));
    assert!(!step_pays(264e3, 79_000, &supply(2, 1.5)));
    assert!(step_pays(7.7e6, 668_000, &supply(2, 1.5)));
    assert!(!step_pays(7.7e6, 668_000, &supply(1, 0.0)));
}

/// Whoever is light is not asked; nobody who would be helped may be.
#[test]
fn light_layers_would_be_shared_by_nobody() {
    let mut light = 0;
    for isa in Isa::available() {
        let kernels = isa::select(isa).expect("an available instruction set");
        for (m, n, k) in [1, 2, 7, 10, 30, 64, 100, 300].into_iter().flat_map(|m| {
            [1, 3, 10, 16, 33, 100, 784]
                .into_iter()
                .flat_map(move |n| [0, 1, 10, 30, 128, 2000].map(move |k| (m, n, k)))
        }) {
            if is_light(kernels, m, n, k) {
                light += 1;
                let forward = product_cycles(kernels, m, n, k) + activation_cycles(m, n);
                let backward = 2.0 * product_cycles(kernels, m, k, n) + dz_cycles(m, n);
                assert!(forward <= LEAST_COST as f64, "{isa}: {m}×{k}→{n} forward takes {forward}");
                assert!(backward <= 2.0 * LEAST_COST as f64, "{isa}: {m}×{k}→{n} backward takes {backward}");
            }
        }
    }
    assert!(light > 50);
}
