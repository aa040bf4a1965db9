use super::*;
use crate::isa::{self, Isa};
use crate::kernel::{dot, narrow, outer};
use crate::summation::SUM_BLOCK;
use crate::tuning::caches::CacheLevel;
use crate::tuning::{Caches, Tuning};

/// Every instruction set that the CPU has, with each of its tuning rows.
pub(super) fn targets() -> impl Iterator<Item = Target> {
    let selected = Isa::available().into_iter().map(|isa| isa::select(isa).expect("an available instruction set"));
    selected.flat_map(|target| Tuning::all().iter().filter_map(move |tuning| target.with_tuning(tuning).ok()))
}

/// The same with each number of a row at its lowest and its highest value, and general rows made for small and large caches.
fn extreme_targets() -> impl Iterator<Item = Target> {
    let caches = [(8, 64), (1024, 64 << 10)].map(|(l1, l2)| {
        Caches::of(&[(1, l1), (2, l2)].map(|(level, kib)| CacheLevel { level, bytes: kib << 10, sharers: 1 }))
    });
    let caches = caches.map(|caches| caches.expect("plausible sizes"));
    targets().flat_map(move |target| {
        let row = target.tuning;
        let values = row.extremes().into_iter().flat_map(|(name, values)| values.map(|value| (name, value)));
        let changed = values.map(|(name, value)| row.with_number(name, &value).expect("a value within its range"));
        let rows: Vec<Tuning> = changed.chain(caches.map(|caches| row.for_caches(caches))).collect();
        rows.into_iter().map(move |row| target.with_tuning(Box::leak(Box::new(row))).expect("the same instruction set"))
    })
}

/// A product of contiguous operands with nothing around it.
pub(super) fn shape(m: usize, n: usize, k: usize) -> ProductShape {
    ProductShape {
        m,
        n,
        k,
        a_strides: (k, 1),
        b_strides: (n, 1),
        c_strides: (n, 1),
        z_strides: None,
        is_prepacked: false,
        is_updated: false,
        has_bias: false,
        has_epilogue: false,
    }
}

pub(super) fn question(target: Target, shape: ProductShape, workers: usize) -> Question {
    Question { target, shape, summation: Summation::Chain, workers, scratch_len: 1 << 20 }
}

/// Products of every layout, on both sides of the rules' edges.
fn shapes(target: Target) -> impl Iterator<Item = ProductShape> {
    const SIZES: [(usize, usize, usize); 13] = [
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
        (40, 65, 40),
        (0, 7, 3),
    ];
    // Rows, columns, neither contiguous.
    let layouts = |rows: usize, cols: usize| [(cols, 1), (1, rows), (2 * cols, 2)];
    let panel_width = target.kernels.nr();
    SIZES.into_iter().flat_map(move |(m, n, k)| {
        (0..162).map(move |index| ProductShape {
            a_strides: layouts(m, k)[index % 3],
            b_strides: if index < 81 { layouts(k, n)[index / 3 % 3] } else { (panel_width, k) },
            c_strides: layouts(m, n)[index / 9 % 3],
            z_strides: [None, Some((n, 1)), Some((1, m))][index / 27 % 3],
            is_prepacked: index >= 81,
            is_updated: index % 5 == 4,
            has_bias: index % 2 == 1,
            has_epilogue: index / 27 % 3 > 0,
            ..shape(m, n, k)
        })
    })
}

/// For each rule products that it is meant for, as they reach it on AVX-512 and on narrower vectors.
#[test]
fn the_rule_that_is_meant_is_taken() {
    for target in targets() {
        let (lanes, is_wide) = (target.kernels.lanes, target.tuning.isa == "avx512");
        let has_quads = target.kernels.narrow.is_some();
        let down = |shape: ProductShape| ProductShape { c_strides: (1, shape.m), ..shape };
        let along = |shape: ProductShape| ProductShape { b_strides: (1, shape.k), ..shape };
        let across = |shape: ProductShape| ProductShape { a_strides: (1, shape.m), ..shape };
        let epilogue = |shape: ProductShape| ProductShape { has_epilogue: true, ..shape };
        let gap = |shape: ProductShape| ProductShape { b_strides: (2 * shape.n, 2), ..shape };
        let panels = |shape: ProductShape| {
            let b_strides = (target.kernels.nr(), shape.k);
            ProductShape { is_prepacked: true, b_strides, ..shape }
        };
        let mut cases = vec![
            ("nothing", shape(0, 5, 3)),
            ("nothing", shape(5, 0, 3)),
            ("single-call", shape(2, lanes, 30)),
            ("single-call", epilogue(shape(2, lanes, 30))),
            ("outer", across(shape(300, 300, 1))),
            ("outer", across(shape(50, 2048, 4))),
            ("single-row", shape(1, 300, 900)),
            ("prepacked", panels(shape(300, 300, 300))),
            ("along-rows", across(shape(100, 1024, 6))),
            ("copied-panels", shape(300, 1024, 300)),
            ("in-place", epilogue(shape(20, 320, 300))),
            ("transposed-panels", epilogue(along(shape(300, 320, 300)))),
            ("gathered-panels", gap(shape(300, 320, 300))),
        ];
        if has_quads {
            cases.push(("few-columns", shape(300, 3, 100)));
        }
        if is_wide {
            cases.push(("in-place", epilogue(shape(300, 320, 300))));
            cases.push(("in-place", epilogue(shape(20, 321, 300))));
        }
        for (meant, shape) in cases {
            let plan = plan(&question(target, shape, 1));
            let taken = plan.rectangles().map(|rectangle| rectangle.rule().name).collect::<Vec<_>>();
            assert_eq!(taken, [meant], "{target:?}: {shape:?}");
        }
        let scattered = plan(&question(target, down(shape(64, 320, 300)), 1));
        assert!(scattered.first.transposed, "{target:?}: a transposed output is computed transposed");
        let split = plan(&question(target, shape(40, 4 * lanes + 2, 40), 1));
        let splits = target.tuning.split_min_len < usize::MAX && has_quads;
        assert_eq!(split.second.is_some(), splits, "{target:?}: few columns behind whole vectors");
        if let Some(second) = split.second {
            assert_eq!((second.col, second.cols, second.rule().name), (4 * lanes, 2, "few-columns"));
        }
        let dots = Question { summation: Summation::Lanes, ..question(target, along(shape(40, 1, 300)), 1) };
        let column = plan(&dots);
        assert!(column.first.transposed && column.first.rule().name == "dots", "{target:?}: a column is one row");
    }
}

#[test]
fn every_rule_has_a_name_of_its_own_and_a_reason() {
    for (index, rule) in RULES.iter().enumerate() {
        assert!(RULES[..index].iter().all(|other| other.name != rule.name), "{} comes twice", rule.name);
        assert!(rule.because.len() > 20 && !rule.decision.is_empty(), "{} has no reason", rule.name);
    }
}

/// Each route asks only what its kernels can do, and all rectangles together are the product.
#[test]
fn routes_fit_their_kernels() {
    for (target, shape) in targets().flat_map(|target| shapes(target).map(move |shape| (target, shape))) {
        for workers in [1, 3] {
            let plan = plan(&question(target, shape, workers));
            let cols = plan.rectangles().map(|rectangle| (rectangle.col, rectangle.cols)).collect::<Vec<_>>();
            assert_eq!(cols.iter().map(|(_, cols)| cols).sum::<usize>(), shape.n, "{cols:?}");
            assert!(cols.windows(2).all(|pair| pair[0].0 + pair[0].1 == pair[1].0), "{cols:?}");
            for rectangle in plan.rectangles() {
                let shape = ProductShape { n: rectangle.cols, ..shape };
                let shape = if rectangle.transposed { shape.transposed() } else { shape };
                fits(target, &shape, rectangle, workers);
            }
        }
    }
}

/// Any row that a caller can have.
#[test]
fn no_number_of_a_row_breaks_a_plan() {
    for (target, shape) in extreme_targets().flat_map(|target| shapes(target).map(move |shape| (target, shape))) {
        for workers in [1, 3] {
            let plan = plan(&question(target, shape, workers));
            let cols = plan.rectangles().map(|rectangle| rectangle.cols).sum::<usize>();
            assert_eq!(cols, shape.n, "{target:?}: {shape:?}");
            for rectangle in plan.rectangles() {
                let shape = ProductShape { n: rectangle.cols, ..shape };
                let shape = if rectangle.transposed { shape.transposed() } else { shape };
                fits(target, &shape, rectangle, workers);
            }
        }
    }
}

fn fits(target: Target, shape: &ProductShape, rectangle: &Rectangle, workers: usize) {
    let (kernels, rows) = (target.kernels, shape.has_contiguous_rows());
    let context = format!("{target:?}, {workers} workers: {} for {shape:?}", rectangle.rule().name);
    let is_plain = shape.has_no_epilogue() && !shape.is_prepacked;
    let in_place = shape.b_strides.1 == 1;
    match &rectangle.route {
        Route::Nothing => assert!(shape.m == 0 || shape.n == 0, "{context}"),
        Route::SingleCall(call) => {
            let vectors = call.width / kernels.lanes;
            assert!(
                shape.m.is_multiple_of(call.height) && call.height <= kernels.tiles[vectors - 1].len(),
                "{context}"
            );
            assert!(call.panels == 1 || call.tiles == 1, "{context}");
            assert!(rows && shape.k <= SUM_BLOCK && workers == 1 && !shape.is_updated, "{context}");
            assert!(!call.packs_right || call.width >= shape.n && vectors <= kernels.panel_vectors, "{context}");
            assert!(call.packs_right || in_place, "{context}");
        }
        Route::FewColumns(_) => {
            let has_few = shape.n <= narrow::MAX_COLS && shape.a_strides.1 == 1;
            assert!(has_few && is_plain && rows && in_place && !shape.is_updated, "{context}");
        }
        Route::OuterProduct(_) => {
            let few = (1..=outer::MAX_TERMS).contains(&shape.k);
            assert!(few && is_plain && rows && in_place, "{context}");
        }
        Route::SingleRow(_) => assert!(shape.m == 1 && rows && in_place && !shape.is_updated, "{context}"),
        Route::DotProducts(_) | Route::DotsByParts { .. } | Route::ShortDots(_) => {
            panic!("{context}: sums in the chain order")
        }
        Route::Tiles(tiles) => {
            match tiles.right {
                RightOperand::InPlace | RightOperand::Copied => assert!(in_place, "{context}"),
                RightOperand::Transposed => assert_eq!(shape.b_strides.0, 1, "{context}"),
                RightOperand::Gathered => {}
                RightOperand::Prepacked => assert!(!rectangle.transposed, "{context}"),
            }
            assert_eq!(tiles.right == RightOperand::Prepacked, shape.is_prepacked, "{context}");
            assert!((1..=kernels.tiles.len()).contains(&tiles.panel_vectors), "{context}");
            // Only panels read and written in place may be wider than the scratch's.
            let is_in_place = tiles.right == RightOperand::InPlace && tiles.totals == Totals::InPlace;
            assert!(is_in_place || tiles.panel_vectors <= kernels.panel_vectors, "{context}");
            assert!(tiles.totals != Totals::InPlace || rows && !shape.is_updated, "{context}");
            assert!(tiles.totals != Totals::StagedByRuns || rows, "{context}");
            let is_direct = is_in_place && shape.k <= SUM_BLOCK && !shape.has_epilogue;
            assert!(tiles.order == TileOrder::Blocks || is_direct, "{context}");
        }
    }
}

/// A short row of a long sum has several blocks side by side, whole ones alone, and as many as the registers hold.
#[test]
fn short_rows_have_blocks_side_by_side() {
    for target in targets() {
        let (lanes, registers) = (target.kernels.lanes, target.kernels.registers);
        let blocks = |vectors: usize| {
            let plan = plan(&question(target, shape(1, vectors * lanes, 4 * SUM_BLOCK), 1));
            let Route::SingleRow(row) = plan.first.route else { panic!("{target:?}: {vectors} vectors are no row") };
            assert!(row.blocks == 1 || row.blocks * vectors < registers, "{target:?}: {vectors} vectors");
            row
        };
        assert_eq!([1, 2, 3].map(|vectors| blocks(vectors).blocks), [4; 3], "{target:?}");
        assert_eq!(blocks(9).blocks, 1, "{target:?}");
        let left = [0, 1, 2, 3, 4, 9].map(|left| blocks(1).blocks_of(left));
        assert_eq!(left, [1, 1, 2, 2, 4, 4], "{target:?}");
    }
}

/// Dot products' vectors begin on cache lines from as many terms on as the tuning row says.
#[test]
fn long_dot_products_begin_on_lines() {
    for target in targets() {
        let dots = |m: usize, n: usize, k: usize, numbers: &[(&str, &str)]| {
            let target = target.with_tuning(target.tuning.with_numbers(numbers)).expect("the same instruction set");
            let along = ProductShape { b_strides: (1, k), ..shape(m, n, k) };
            let plan = plan(&Question { summation: Summation::Lanes, ..question(target, along, 1) });
            let Route::DotProducts(dots) = plan.first.route else {
                panic!("{target:?}: {along:?} are no dot products")
            };
            dots
        };
        let numbers = [
            ("first_level_len", "9216"),
            ("dot_aligned_max_rows", "2"),
            ("dot_aligned_min_terms", "64"),
            ("dot_aligned_tall_min_terms", "384"),
            ("dot_aligned_narrow_max_cols", "2"),
            ("dot_aligned_narrow_terms", "40"),
        ];
        // From afar and not, on both sides of each number.
        let rows = [(4, 30, 384), (30, 4, 384), (4, 4, 384), (4, 60, 383), (4, 60, 63)]
            .map(|(m, n, k)| dots(m, n, k, &numbers).aligned_rows);
        assert_eq!(rows, [usize::MAX, usize::MAX, 2, 2, 0], "{target:?}");
        let narrow = [(9, 2, 80), (9, 2, 79), (9, 3, 130)].map(|(m, n, k)| dots(m, n, k, &numbers).aligned_rows);
        assert_eq!(narrow, [usize::MAX, 2, 2], "{target:?}");
    }
}

/// The rows of a tile go over all columns before the next rows where the first level keeps a tile's operands and not all rows.
#[test]
fn rows_of_dots_come_before_columns() {
    for target in targets() {
        let order = |m: usize, k: usize, b_strides: (usize, usize), numbers: &[(&str, &str)]| {
            let target = target.with_tuning(target.tuning.with_numbers(numbers)).expect("the same instruction set");
            let shape = ProductShape { b_strides, ..shape(m, 40, k) };
            let plan = plan(&Question { summation: Summation::Lanes, ..question(target, shape, 1) });
            let Route::DotProducts(dots) = plan.first.route else {
                panic!("{target:?}: {shape:?} are no dot products")
            };
            assert!(!dots.rows_first || dots.rows < m, "{target:?}");
            dots.rows_first
        };
        let rows_first = |m: usize, k: usize, numbers: &[(&str, &str)]| order(m, k, (1, k), numbers);
        let kernels = target.kernels;
        let most = kernels.dot_rows();
        let cols = kernels.dot_cols(most).min(dot::FAR_MAX_COLS);
        // Two tiles of the highest, whose operands and whose all rows have just as many elements as the numbers say, one term more and
        // one less.
        let (m, k) = (2 * most, 100);
        let (min, max) = (((m + cols) * k).to_string(), ((most + cols) * k).to_string());
        let rows = m.to_string();
        let numbers = [
            ("first_level_len", "0"),
            ("dot_rows_first_max_rows", &rows[..]),
            ("dot_rows_first_min_len", &min[..]),
            ("dot_rows_first_max_len", &max[..]),
            ("dot_rows_first_max_right_len", "4000"),
        ];
        let found = [(m, k), (m, k + 1), (m, k - 1), (m + 1, k), (most, k)].map(|(m, k)| rows_first(m, k, &numbers));
        assert_eq!(found, [true, false, false, false, false], "{target:?}");
        for (number, value) in [("first_level_len", "max"), ("dot_rows_first_max_right_len", "3999")] {
            assert!(!rows_first(m, k, &[&numbers[..], &[(number, value)]].concat()), "{target:?}: {number}");
        }
        assert!(!order(m, k, (40, 1), &numbers), "{target:?}: columns that are gathered");
    }
}

/// Totals are staged from as many rows, and as far apart, as the tuning row says, and from as many terms on where no activation follows.
#[test]
fn long_sums_over_wide_rows_are_staged() {
    for target in targets() {
        let numbers = [("staging_min_rows", "300"), ("staging_min_stride", "400"), ("staging_plain_min_terms", "513")];
        let target = target.with_tuning(target.tuning.with_numbers(&numbers)).expect("the same instruction set");
        let is_staged = |m: usize, n: usize, k: usize, has_epilogue: bool| {
            let plan = plan(&question(target, ProductShape { has_epilogue, ..shape(m, n, k) }, 1));
            let Route::Tiles(tiles) = plan.first.route else { panic!("{target:?}: {m}×{n} with {k} terms") };
            tiles.totals != Totals::InPlace
        };
        for (m, n) in [(300, 400), (299, 400), (300, 399)] {
            let is_large = (m, n) == (300, 400);
            let expected = [false, is_large, false, is_large];
            let staged = [(SUM_BLOCK, true), (SUM_BLOCK + 1, true), (512, false), (513, false)]
                .map(|(k, has_epilogue)| is_staged(m, n, k, has_epilogue));
            assert_eq!(staged, expected, "{target:?}: {m}×{n}");
        }
    }
}

/// Panels in place are a vector narrower from as many rows and terms on as the tuning row says, where their tiles are higher for that.
#[test]
fn narrow_panels_have_higher_tiles() {
    for target in targets().filter(|target| target.kernels.panel_vectors > 1) {
        let numbers = [
            ("narrow_panels_min_rows", "14"),
            ("narrow_panels_min_terms", "32"),
            ("copy_all_min_rows", "max"),
            ("copy_broken_min_len", "max"),
            ("single_call_max_len", "0"),
        ];
        let target = target.with_tuning(target.tuning.with_numbers(&numbers)).expect("the same instruction set");
        let kernels = target.kernels;
        let vectors = |m: usize, n: usize, k: usize| {
            let plan = plan(&question(target, shape(m, n, k), 1));
            let Route::Tiles(tiles) = plan.first.route else { panic!("{target:?}: {m}×{n} with {k} terms") };
            assert_eq!(tiles.right, RightOperand::InPlace, "{target:?}");
            tiles.panel_vectors
        };
        let (most, fewer) = (kernels.panel_vectors, kernels.panel_vectors - 1);
        let tiles = |m: usize| [fewer, most].map(|vectors| m.div_ceil(kernels.mr(vectors)));
        let rows_where = |is_higher: bool| (14..100).find(|&m| (tiles(m)[0] < tiles(m)[1]) == is_higher);
        let (rows, cols) = (rows_where(true).expect("higher tiles"), 4 * kernels.nr());
        let others = [(rows, cols, 31), (rows, kernels.nr(), 32), (13, cols, 32)];
        // Where tiles differ by much, there is no such number.
        let as_many = rows_where(false).map(|rows| (rows, cols, 32));
        assert_eq!(vectors(rows, cols, 32), fewer, "{target:?}");
        assert!(others.into_iter().chain(as_many).all(|(m, n, k)| vectors(m, n, k) != fewer), "{target:?}");
    }
}

/// A few rows of dot products go through parts of their columns, where these are as many and as long as the tuning row says; and the
/// rows of one row's halves are updated in pairs then.
#[test]
fn few_rows_of_dots_go_by_parts() {
    for target in targets() {
        let numbers = [
            ("dot_parts_min_terms", "96"),
            ("dot_parts_max_terms", "300"),
            ("dot_parts_min_len", "9696"),
            ("dot_parts_rows_min_terms", "128"),
            ("dot_parts_rows_max_terms", "256"),
            ("short_dots_min_outputs", "max"),
            ("outer_adds_in_pairs", "true"),
            ("outer_pairs_pages_apart", "true"),
            ("outer_aligned_min_cols", "max"),
        ];
        let target = target.with_tuning(target.tuning.with_numbers(&numbers)).expect("the same instruction set");
        let rule = |m: usize, n: usize, k: usize, left: (usize, usize)| {
            let along = ProductShape { a_strides: left, b_strides: (1, k), ..shape(m, n, k) };
            plan(&Question { summation: Summation::Lanes, ..question(target, along, 1) }).first.rule().name
        };
        // On both sides of each number, and a row that does not lie along the sum.
        let parts = "dots-by-parts";
        let rules = [(101, 96), (103, 95), (100, 96), (33, 300), (40, 301)].map(|(n, k)| rule(1, n, k, (k, 1)));
        assert_eq!(rules, [parts, "dots", "dots", parts, "dots"], "{target:?}");
        let most = target.kernels.dots_by_parts.len();
        for m in 2..=most + 1 {
            let rules = [(76, 128), (77, 127), (75, 128), (38, 256), (40, 257)].map(|(n, k)| rule(m, n, k, (k, 1)));
            let parts = if m <= most { parts } else { "dots" };
            assert_eq!(rules, [parts, "dots", "dots", parts, "dots"], "{m} rows by {target:?}");
        }
        assert_eq!(rule(1, 101, 96, (1, 2)), "dots", "{target:?}");

        let pairs = |m: usize, n: usize| {
            let Route::OuterProduct(outer) = plan(&question(target, shape(m, n, 1), 1)).first.route else {
                panic!("{target:?}: {m}×{n} is no outer product")
            };
            outer.added_pairs
        };
        let halves = if target.kernels.dot_parts[0] == 2 { Pairs::OfHalves } else { Pairs::Neighbours };
        // So many rows are no single call.
        assert_eq!([pairs(101, 96), pairs(97, 96)], [halves, Pairs::Neighbours], "{target:?}");
    }
}

/// A few columns of dot products without gaps are rows of the transposed product, and a row or two of few terms stay in registers, from as
/// many outputs on as the tuning row says.
#[test]
fn few_columns_of_dots_are_rows() {
    for target in targets() {
        let numbers = [
            ("dot_columns_as_rows_max", "3"),
            ("dot_columns_as_rows_min_len", "9"),
            ("short_dots_min_outputs", "40"),
            ("dot_parts_min_terms", "max"),
            ("dot_parts_rows_min_terms", "max"),
        ];
        let target = target.with_tuning(target.tuning.with_numbers(&numbers)).expect("the same instruction set");
        let planned = |shape: ProductShape| {
            let plan = plan(&Question { summation: Summation::Lanes, ..question(target, shape, 1) });
            (plan.first.transposed, plan.first.rule().name)
        };
        let along = |m: usize, n: usize, k: usize| ProductShape { b_strides: (1, k), ..shape(m, n, k) };
        // More terms than any kernel keeps in registers.
        let tiles = [(9, 3), (8, 3), (9, 4), (40, 1)].map(|(m, n)| planned(along(m, n, 200)));
        assert_eq!(tiles, [(true, "dots"), (false, "dots"), (false, "dots"), (true, "dots")], "{target:?}");
        let with_gaps = ProductShape { c_strides: (4, 1), ..along(9, 3, 200) };
        let kept_with_gaps = ProductShape { z_strides: Some((4, 1)), ..along(9, 3, 200) };
        for shape in [with_gaps, kept_with_gaps] {
            assert_eq!(planned(shape), (false, "dots"), "{target:?}: {shape:?}");
        }
        let kernels = target.kernels.short_dots;
        for rows in 1..=kernels.len() {
            let (most, cols) = (kernels[rows - 1].len() * 16, 40_usize.div_ceil(rows));
            let short = "short-dots";
            let rules = [(cols, most), (cols, most + 1), (cols - 1, most)].map(|(m, k)| planned(along(m, rows, k)));
            assert_eq!(rules, [(true, short), (true, "dots"), (true, "dots")], "{rows} columns by {target:?}");
            // A kernel of two rows stores both: no worker has one of them.
            for workers in 2..=9 {
                let lanes =
                    Question { summation: Summation::Lanes, ..question(target, along(900, rows, most), workers) };
                let plan = plan(&lanes);
                let parts = (0..plan.parts()).map(|part| plan.first.grid.part(rows, 900, part));
                assert!(plan.first.rule().name == short && plan.parts() > 1, "{rows} columns by {target:?}");
                assert!({ parts }.all(|part| part.rows.is_empty() || part.rows.len() == rows), "{rows}, {target:?}");
            }
        }
        let rows = [along(1, 40, 16), along(1, 39, 16), along(2, 40, 16)].map(planned);
        assert_eq!(rows, [(false, "short-dots"), (false, "dots"), (false, "dots")], "{target:?}");
    }
}

/// `dz` of few outputs is one row, of as many samples as the tuning row says.
#[test]
fn dz_of_few_outputs_joins_rows() {
    for target in targets() {
        let tuning = target.tuning;
        let (most, fewest) = (tuning.dz_joined_max_cols, tuning.dz_joined_min_rows);
        assert!((1..=4).contains(&most) && fewest > 0, "{target:?}");
        let joins = [(fewest, most), (fewest - 1, most), (fewest, most + 1)]
            .map(|(rows, cols)| dz_joins_rows(target, rows, cols));
        assert_eq!(joins, [true, false, false], "{target:?}");
    }
}

/// Columns are split off where the CPU gains by it, and once.
#[test]
fn columns_behind_whole_vectors_are_split_off_once() {
    let layouts = |rows: usize, cols: usize| [(cols, 1), (1, rows)];
    for target in targets() {
        let (mut splits, lanes) = (0, target.kernels.lanes);
        for (n, a_strides) in (1..160).flat_map(|n| layouts(40, 40).map(|a_strides| (n, a_strides))) {
            let shape = ProductShape { a_strides, ..shape(40, n, 40) };
            let found = plan(&question(target, shape, 1));
            let Some(second) = found.second else { continue };
            splits += 1;
            assert!((1..=narrow::MAX_COLS).contains(&second.cols) && second.col.is_multiple_of(lanes), "{shape:?}");
            for n in [second.col, second.cols] {
                let part = ProductShape { n, ..shape };
                assert!(plan(&question(target, part, 1)).second.is_none(), "{part:?} is split again");
            }
            let few_terms = 20.min((target.tuning.split_min_len - 1) / shape.m);
            for small in [ProductShape { k: few_terms, ..shape }, ProductShape { is_updated: true, ..shape }] {
                assert!(plan(&question(target, small, 1)).second.is_none(), "{small:?}");
            }
        }
        assert_eq!(splits > 0, target.tuning.split_min_len < usize::MAX, "{target:?}");
    }
}

/// The order of a sum is settled before; a plan cannot change it.
#[test]
fn lanes_stay_lanes() {
    for (target, shape) in targets().flat_map(|target| shapes(target).map(move |shape| (target, shape))) {
        // Dot products run along the rows, which are no panels.
        let shape = ProductShape { is_prepacked: false, ..shape };
        let plan = plan(&Question { summation: Summation::Lanes, ..question(target, shape, 1) });
        let is_dots = matches!(
            plan.first.route,
            Route::DotProducts(_) | Route::DotsByParts { .. } | Route::ShortDots(_) | Route::Nothing
        );
        assert!(is_dots && plan.second.is_none(), "{shape:?}");
        assert!(!plan.first.transposed || shape.n <= 5 && shape.c_strides.0 == shape.n, "{shape:?}");
    }
}

#[test]
fn a_kept_plan_answers_its_question_alone() {
    struct Fixed(Question);
    impl Asked for Fixed {
        fn is(&self, question: &Question) -> bool {
            self.0 == *question
        }
        fn question(&self) -> Question {
            self.0
        }
    }
    let mut plans = Plans::default();
    for target in targets() {
        for (m, workers) in [(10, 1), (10, 1), (300, 1), (300, 2), (1, 1)] {
            let asked = question(target, shape(m, 30, 40), workers);
            let kept = plans.get(Slot::DW, &Fixed(asked));
            let fresh = plan(&asked);
            assert_eq!((kept.first.rule().name, kept.parts()), (fresh.first.rule().name, fresh.parts()));
            assert_eq!(kept.target, target);
        }
    }
}
