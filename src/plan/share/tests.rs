use super::*;
use crate::plan::BatchShape;
use crate::plan::ProductShape;
use crate::plan::schedule::block_workers;
use crate::plan::tests::{question, shape, targets};
use crate::plan::{UpdateBy, activation_cycles, backward_cycles, plan, product_cycles, schedule, update_workers};

fn budget(workers: usize, cost: f64) -> ParallelBudget {
    ParallelBudget { workers, cost, backward_cost: cost, move_cost: cost / 2e3, source: "a test" }
}

fn target() -> Target {
    targets().next().expect("an instruction set")
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

/// Products of every right operand, and with a left one that is packed.
fn layouts(target: Target, m: usize, n: usize, k: usize) -> [ProductShape; 5] {
    let plain = shape(m, n, k);
    [
        plain,
        ProductShape { b_strides: (1, k), ..plain },
        ProductShape { a_strides: (1, m), ..plain },
        ProductShape { b_strides: (2 * n, 2), ..plain },
        ProductShape { b_strides: (target.kernels.nr(), k), is_prepacked: true, ..plain },
    ]
}

#[test]
fn parts_cover_an_output_once() {
    for target in targets() {
        for (m, n) in [0, 1, 2, 17, 64, 100].into_iter().flat_map(|m| [0, 1, 15, 64, 65, 300].map(|n| (m, n))) {
            for (workers, shape) in (1..=17).flat_map(|w| layouts(target, m, n, 200).map(|shape| (w, shape))) {
                let plan = plan(&question(target, shape, workers));
                for rectangle in plan.rectangles() {
                    let grid = rectangle.grid;
                    assert!((1..=target.tuning.max_pieces * workers).contains(&grid.parts()), "{grid:?} for {workers}");
                    let (m, n) = if rectangle.transposed { (rectangle.cols, m) } else { (m, rectangle.cols) };
                    let mut times = vec![0; m * n];
                    for part in (0..grid.parts()).map(|index| grid.part(m, n, index)) {
                        let is_panel = part.cols.start.is_multiple_of(target.kernels.nr());
                        assert!(is_panel || part.cols.start == n || !shape.is_prepacked, "{part:?} of panels");
                        for i in part.rows {
                            part.cols.clone().for_each(|j| times[i * n + j] += 1);
                        }
                    }
                    assert!(times.iter().all(|&times| times == 1), "{m}×{n} cut by {grid:?}");
                }
            }
        }
    }
}

/// Nobody has less than half of what another has, where the output is large enough to be cut so.
#[test]
fn parts_are_alike() {
    for target in targets() {
        for (m, n) in [(256, 256), (1000, 32), (1, 4096), (2000, 16), (100, 704)] {
            for (workers, shape) in [2, 3, 4, 8].into_iter().flat_map(|w| layouts(target, m, n, 200).map(|s| (w, s))) {
                let plan = plan(&question(target, ProductShape { has_epilogue: true, ..shape }, workers));
                let rectangle = plan.rectangles().next().expect("a rectangle");
                let (m, n) = if rectangle.transposed { (n, m) } else { (m, n) };
                let sizes = (0..rectangle.grid.parts()).map(|index| rectangle.grid.part(m, n, index));
                let sizes: Vec<_> = sizes.map(|part| part.rows.len() * part.cols.len()).collect();
                let (least, most) = (sizes.iter().min(), sizes.iter().max());
                let context = format!("{m}×{n}: {:?}: {sizes:?}", rectangle.grid);
                assert!(least.zip(most).is_some_and(|(least, most)| 2 * least >= *most), "{context}");
                assert!(sizes.len() * 4 >= workers * 3, "{context} for {workers}");
            }
        }
    }
}

#[test]
fn workers_are_as_many_as_the_work_is_worth() {
    let workers = |cycles, moved, budget: &ParallelBudget| workers(target(), cycles, moved, budget);
    assert_eq!(workers(0.0, 0.0, &budget(8, 2e3)), 1);
    assert_eq!(workers(f64::MAX, 0.0, &budget(8, 2e3)), 8);
    assert_eq!(workers(f64::MAX, 0.0, &budget(1, 0.0)), 1);
    assert_eq!(workers(10e3, 0.0, &budget(2, 2e3)), 2);
    assert_eq!(workers(10e3, 20e3, &budget(2, 2e3)), 1, "half of what is moved costs more than half of the work");
    for cost in [2e3, 60e3] {
        let counts = (0..40).map(|bits| workers((1_u64 << bits) as f64, 0.0, &budget(5, cost)));
        assert!(counts.clone().all(|count| (1..=5).contains(&count)) && counts.is_sorted());
    }
}

/// Work a little larger is never predicted to take longer, nor much longer than on one worker less.
#[test]
fn sharing_has_no_cliffs() {
    let (budget, target) = (budget(16, 2e3), target());
    for moved in [0.0, 500.0, 5000.0] {
        let time = |cycles: f64| shared_cycles(target, cycles, moved, &budget, workers(target, cycles, moved, &budget));
        let mut last = 0.0;
        for cycles in (0..4000).map(|step| 100.0 * f64::from(step)) {
            let now = time(cycles);
            assert!(now >= last && now - last <= 100.0 + 1e-6, "{cycles}: {now} after {last}");
            last = now;
        }
    }
}

/// Both gradients of a layer from `len` inputs to as many outputs, with room for partial sums.
fn backward(batch: usize, len: usize) -> BatchShape {
    BatchShape {
        batch,
        inputs: len,
        outputs: len,
        chunk_rows: 1024,
        most_blocks: 0,
        d_w: true,
        d_a_prev: true,
        has_room: true,
        has_contiguous_room: true,
        descends: false,
    }
}

/// Whole blocks go to each worker, up to as many as there is room for; one block cannot be shared.
#[test]
fn blocks_are_shared_whole() {
    let blocks = |count: usize, most_blocks| BatchShape { most_blocks, ..backward(256 * count, 10) };
    let workers = |count, most, members, cost| block_workers(target(), &blocks(count, most), &budget(members, cost));
    assert!(workers(0, 8, 8, 2e3).is_none());
    assert!(workers(1, 8, 8, 2e3).is_none());
    assert!(workers(16, 0, 8, 2e3).is_none());
    assert!(workers(16, 8, 1, 0.0).is_none());
    for (count, most, members, expected) in [(2, 8, 8, 2), (16, 16, 8, 8), (16, 4, 8, 4)] {
        let (workers, _) = workers(count, most, members, 10.0).expect("two blocks");
        assert_eq!(workers, expected, "{count} blocks, {most} at a time, for {members}");
    }
}

/// Plain descent of one block is its product. Any other update comes behind the whole gradient where there is room for that and few
/// parameters: more may be updated so by several samples and a rule with state, where all rows are contiguous.
#[test]
fn updates_come_behind_a_gradient_that_has_room() {
    let mut tuning = target().tuning.clone();
    (tuning.update_min_len, tuning.whole_gradient_max_len, tuning.update_pages_max_terms) = (100, 400, 0);
    let target = Target { tuning: Box::leak(Box::new(tuning)), ..target() };
    let adam = backward(8, 20);
    let update_by = |shape: BatchShape| schedule(target, &shape, None).update_by;
    assert_eq!(update_by(adam), UpdateBy::WholeGradient);
    assert_eq!(update_by(BatchShape { inputs: 21, ..adam }), UpdateBy::Tiles);
    assert_eq!(update_by(BatchShape { batch: 1, ..adam }), UpdateBy::Tiles);
    assert_eq!(update_by(BatchShape { batch: 1, inputs: 5, ..adam }), UpdateBy::WholeGradient);
    assert_eq!(update_by(BatchShape { has_contiguous_room: false, ..adam }), UpdateBy::Tiles);
    assert_eq!(
        update_by(BatchShape { has_room: false, has_contiguous_room: false, inputs: 5, ..adam }),
        UpdateBy::Tiles
    );
    assert_eq!(update_by(BatchShape { descends: true, ..adam }), UpdateBy::Product);
    assert_eq!(update_by(BatchShape { descends: true, batch: 300, ..adam }), UpdateBy::Tiles);
}

/// An update is shared where it takes longer than handing it over, and never by more workers than there are outputs.
#[test]
fn long_updates_are_shared() {
    let workers = |parameters, outputs| update_workers(target(), parameters, outputs, &budget(4, 2e3));
    assert_eq!((workers(0, 8), workers(300, 10), workers(1 << 20, 1)), (1, 1, 1));
    assert_eq!((workers(1 << 20, 1 << 10), workers(1 << 20, 3)), (4, 3));
}

/// Where an output's columns are contiguous its rows are shared, and the other way round, at cache lines.
#[test]
fn parts_do_not_meet_in_memory() {
    for target in targets() {
        for (m, n) in [(256, 256), (256, 128), (1024, 64)] {
            let grid = |shape| plan(&question(target, shape, 2)).rectangles().next().expect("a rectangle").grid;
            let across = grid(ProductShape { has_epilogue: true, ..shape(m, n, 1) });
            assert_eq!((across.rows, across.cols), (2, 1), "{m}×{n}");
        }
        let one_column = ProductShape { c_strides: (1, 500), has_epilogue: true, ..shape(500, 1, 300) };
        let plan = plan(&question(target, one_column, 3));
        let rectangle = plan.rectangles().next().expect("a rectangle");
        let part = |index| match rectangle.transposed {
            true => rectangle.grid.part(1, 500, index).cols,
            false => rectangle.grid.part(500, 1, index).rows,
        };
        let mut starts = (0..plan.parts()).map(|index| part(index).start);
        assert!(plan.parts() > 1 && starts.all(|start| start % LINE == 0), "{:?}", rectangle.grid);
    }
}

/// Parameters that change cores each step are part of its price, and nothing where cores share a cache.
#[test]
fn steps_are_shared_where_they_pay() {
    let budget = |workers, move_cost| ParallelBudget { move_cost, ..budget(workers, 2e3) };
    assert!(step_pays(target(), 264e3, 79_000, &budget(2, 0.1)));
    assert!(!step_pays(target(), 264e3, 79_000, &budget(2, 1.5)));
    assert!(step_pays(target(), 7.7e6, 668_000, &budget(2, 1.5)));
    assert!(!step_pays(target(), 7.7e6, 668_000, &budget(1, 0.0)));
}

/// Work below the least is not shared, so none that two workers would finish earlier by more than a twentieth may be below it.
#[test]
fn work_below_the_least_would_be_shared_by_nobody() {
    let sizes = [1, 3, 10, 16, 33, 100, 784];
    for target in targets() {
        let (mut light, least) = (0, target.tuning.parallel_min_cycles as f64);
        for (m, n) in [1, 2, 7, 10, 30, 64, 100, 300].into_iter().flat_map(|m| sizes.map(|n| (m, n))) {
            for k in [0, 1, 10, 30, 128, 2000] {
                if below_parallel_min(target, m, n, k) {
                    light += 1;
                    let forward = product_cycles(target, m, n, k) + activation_cycles(target, m, n);
                    let backward = backward_cycles(target, m, k, n);
                    assert!(forward <= least, "{target:?}: {m}×{k}→{n} forward takes {forward}");
                    let shared = backward / 2.0 + least;
                    assert!(backward <= 1.05 * shared, "{target:?}: {m}×{k}→{n} backward takes {backward}");
                }
            }
        }
        assert!(light > 50);
    }
}
