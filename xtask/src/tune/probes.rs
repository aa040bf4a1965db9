//! The numbers that are measured, and the layers on both sides of where their routes cross.

use super::call::Call;
use crate::bench::shape::{Shape, Weights};

/// One number of a row, and how it shows.
pub struct Probe {
    pub number: &'static str,
    /// Values to try, in ascending order; the present one joins them.
    pub values: &'static [&'static str],
    /// Batch, inputs, outputs.
    layers: &'static [(usize, usize, usize)],
    pub calls: &'static [Call],
    pub weights: Weights,
    pub threads: usize,
    /// Whether the plan in words tells all that the number changes. Where it does not, each value is a route of its own.
    pub shows_in_plan: bool,
}

const BOTH: &[Call] = &[Call::Forward, Call::Backward];
const FORWARD: &[Call] = &[Call::Forward];
const BACKWARD: &[Call] = &[Call::Backward];
const DESCENT: &[Call] = &[Call::Descent];
const ADAM: &[Call] = &[Call::Adam];

impl Probe {
    pub fn shapes(&self) -> impl Iterator<Item = Shape> {
        self.layers.iter().map(|&(batch, inputs, outputs)| Shape::new(batch, inputs, outputs))
    }

    /// A number whose routes the plan tells.
    const fn new(
        number: &'static str,
        values: &'static [&'static str],
        calls: &'static [Call],
        layers: &'static [(usize, usize, usize)],
    ) -> Self {
        Self { number, values, layers, calls, weights: Weights::Plain, threads: 1, shows_in_plan: true }
    }

    /// A number that changes how the loops of one route run.
    const fn hidden(
        number: &'static str,
        values: &'static [&'static str],
        calls: &'static [Call],
        layers: &'static [(usize, usize, usize)],
    ) -> Self {
        Self { shows_in_plan: false, ..Self::new(number, values, calls, layers) }
    }

    /// A number that counts where two threads share a call.
    const fn shared(
        number: &'static str,
        values: &'static [&'static str],
        calls: &'static [Call],
        layers: &'static [(usize, usize, usize)],
    ) -> Self {
        Self { threads: 2, ..Self::hidden(number, values, calls, layers) }
    }
}

/// Layers of which either operand may be transposed, in both orders of length.
const TRANSPOSED: &[(usize, usize, usize)] = &[
    (24, 784, 100),
    (32, 784, 30),
    (37, 36, 45),
    (37, 100, 20),
    (40, 100, 50),
    (48, 512, 64),
    (64, 64, 64),
    (64, 256, 48),
    (128, 512, 512),
    (128, 784, 100),
    (200, 64, 100),
    (256, 13, 512),
];

/// Layers of which the second thread's part is worth little or much more than handing it over: by weights from afar, and by sums.
const SHARED: &[(usize, usize, usize)] = &[
    (1, 512, 512),
    (1, 784, 512),
    (1, 1024, 1024),
    (2, 784, 512),
    (10, 784, 30),
    (10, 784, 100),
    (32, 784, 30),
    (64, 64, 64),
    (128, 100, 30),
    (128, 13, 512),
];

/// Every probe. The stride of pages has none, by which several rules go whose own numbers have; nor have the lengths of scratch
/// memory that several threads use, and numbers about more threads than two.
pub const PROBES: &[Probe] = &[
    Probe::new("multiply_add_cost", &["0.25", "0.5", "0.75", "1", "1.5"], BOTH, TRANSPOSED),
    Probe::new("transpose_cost", &["0.1", "0.2", "0.3", "0.4", "0.6", "0.8", "1.2"], BOTH, TRANSPOSED),
    Probe::new(
        "copy_cost",
        &["0", "0.06", "0.12", "0.25", "0.5"],
        BOTH,
        &[(24, 1024, 512), (32, 1024, 64), (64, 1024, 128), (64, 129, 65), (128, 301, 130), (128, 1024, 64)],
    ),
    Probe::new(
        "left_across_pages_cost",
        &["0", "0.1", "0.2", "0.4"],
        BACKWARD,
        &[(24, 1024, 512), (32, 1024, 1024), (64, 1024, 512), (128, 1024, 256), (128, 1024, 1024)],
    ),
    Probe::new(
        "left_across_long_rows_cost",
        &["0", "0.025", "0.05", "0.1"],
        BACKWARD,
        &[(256, 2200, 2200), (64, 1500, 700), (32, 1100, 300), (48, 2500, 1000), (300, 1100, 300)],
    ),
    Probe::new(
        "chunk_max_len",
        &["524288", "1048576", "2097152", "4194304"],
        BACKWARD,
        &[(400, 2200, 2200), (512, 3000, 1000), (512, 1024, 4096), (1024, 1024, 1024)],
    ),
    Probe::new(
        "single_call_max_len",
        &["256", "512", "1024", "2048", "4096", "8192"],
        BOTH,
        &[
            (8, 100, 32),
            (10, 30, 10),
            (16, 16, 64),
            (16, 45, 30),
            (20, 64, 32),
            (32, 40, 16),
            (64, 16, 16),
            (32, 64, 64),
        ],
    ),
    Probe::new(
        "split_min_vectors",
        &["1", "2", "3", "4", "8"],
        BACKWARD,
        &[(37, 18, 45), (37, 34, 45), (37, 50, 45), (64, 65, 65), (37, 129, 65)],
    ),
    Probe::new(
        "split_min_len",
        &["256", "1024", "2048", "4096", "max"],
        BACKWARD,
        &[(16, 65, 40), (37, 33, 45), (37, 50, 45), (64, 65, 65), (37, 129, 65), (200, 34, 20)],
    ),
    Probe::new(
        "few_columns_min_rows",
        &["0", "4", "8", "16", "32", "max"],
        BACKWARD,
        &[(4, 4, 45), (8, 4, 45), (12, 3, 64), (20, 4, 45), (37, 2, 45), (100, 3, 100)],
    ),
    Probe::new(
        "few_columns_min_len",
        &["0", "64", "128", "256", "1024"],
        BACKWARD,
        &[(8, 4, 10), (10, 3, 20), (16, 4, 20), (37, 3, 10), (64, 2, 10)],
    ),
    Probe::new(
        "outer_terms_min_cols",
        &["64", "256", "512", "1024", "2048", "max"],
        BACKWARD,
        &[(2, 128, 64), (3, 256, 128), (4, 512, 64), (4, 784, 30), (4, 1024, 30), (4, 2048, 64), (2, 1024, 256)],
    ),
    Probe::hidden(
        "outer_aligned_min_cols",
        &["16", "64", "256", "max"],
        BACKWARD,
        &[(1, 45, 64), (1, 100, 30), (1, 203, 100), (1, 785, 100)],
    ),
    Probe::hidden(
        "outer_writes_in_pairs",
        &["false", "true"],
        BACKWARD,
        &[(1, 320, 64), (1, 784, 30), (1, 784, 100), (1, 784, 512), (1, 512, 512)],
    ),
    Probe::hidden(
        "outer_adds_in_pairs",
        &["false", "true"],
        DESCENT,
        &[(1, 320, 64), (1, 784, 30), (1, 784, 100), (1, 784, 512), (1, 512, 512)],
    ),
    Probe::hidden(
        "outer_pairs_pages_apart",
        &["false", "true"],
        DESCENT,
        &[(1, 1024, 64), (1, 1024, 512), (1, 1024, 1024), (1, 2048, 256)],
    ),
    Probe::hidden(
        "outer_adds_by_halves",
        &["false", "true"],
        DESCENT,
        &[(1, 320, 64), (1, 784, 30), (1, 784, 100), (1, 512, 512), (1, 1024, 512)],
    ),
    Probe::hidden(
        "outer_update_rows",
        &["2", "4", "8", "16", "32"],
        ADAM,
        &[(1, 784, 30), (1, 512, 10), (1, 784, 512), (1, 1024, 256)],
    ),
    Probe::hidden(
        "update_min_len",
        &["0", "256", "1024", "4096", "16384", "32768", "65536", "131072"],
        ADAM,
        &[
            (1, 17, 10),
            (1, 30, 10),
            (1, 64, 32),
            (1, 100, 100),
            (1, 784, 30),
            (1, 256, 128),
            (1, 100, 400),
            (1, 784, 100),
            (1, 1000, 128),
        ],
    ),
    Probe::hidden(
        "whole_gradient_max_len",
        &["0", "1024", "4096", "16384", "65536", "262144", "1048576", "max"],
        ADAM,
        &[
            (10, 30, 10),
            (32, 64, 10),
            (10, 100, 30),
            (64, 17, 64),
            (64, 129, 65),
            (10, 784, 30),
            (32, 784, 100),
            (64, 256, 128),
            (32, 500, 400),
            (128, 784, 512),
            (10, 784, 512),
            (100, 1000, 1000),
            (100, 2200, 2200),
        ],
    ),
    Probe::hidden(
        "update_pages_max_terms",
        &["0", "16", "64", "128", "256", "max"],
        ADAM,
        &[(8, 1024, 256), (32, 1024, 512), (64, 2048, 256), (100, 1024, 256), (200, 1024, 256), (128, 2048, 512)],
    ),
    Probe::hidden(
        "half_last_vectors",
        &["false", "true"],
        BOTH,
        &[(37, 24, 45), (37, 100, 20), (37, 39, 45), (100, 36, 36), (200, 40, 24), (256, 100, 100)],
    ),
    Probe::new(
        "direct_tile_vectors",
        &["12", "16", "20", "max"],
        BACKWARD,
        &[(10, 784, 30), (10, 784, 100), (12, 129, 65), (20, 784, 30), (32, 784, 30), (37, 100, 16), (37, 48, 45)],
    ),
    Probe::hidden(
        "row_max_cols",
        &["1024", "2048", "4096", "8192", "max"],
        BACKWARD,
        &[(1, 2048, 256), (1, 4096, 64), (1, 8192, 128)],
    ),
    Probe::hidden(
        "first_level_len",
        &["2048", "4096", "6144", "9216", "16384", "32768"],
        BOTH,
        &[(1, 100, 30), (1, 100, 60), (1, 512, 10), (1, 512, 16), (1, 784, 10), (2, 512, 20), (1, 784, 30)],
    ),
    Probe::new(
        "copy_min_rows",
        &["8", "12", "16", "24", "32", "48", "64", "128", "256", "512", "max"],
        BACKWARD,
        &[
            (8, 1024, 256),
            (12, 1024, 256),
            (18, 1024, 256),
            (28, 1024, 256),
            (40, 1024, 256),
            (56, 1024, 256),
            (100, 1024, 256),
            (64, 1024, 30),
            (200, 1024, 128),
            (300, 1024, 600),
            (800, 1024, 256),
        ],
    ),
    Probe::new(
        "copy_far_pages_min_rows",
        &["16", "24", "32", "48", "64", "max"],
        BACKWARD,
        &[
            (20, 2048, 1024),
            (28, 1024, 2048),
            (32, 1024, 1024),
            (40, 2048, 2048),
            (56, 1024, 2048),
            (72, 1024, 2048),
            (100, 1024, 1024),
        ],
    ),
    Probe::new(
        "copy_far_pages_min_len",
        &["131072", "262144", "524288", "1048576", "2097152", "4194304"],
        BACKWARD,
        &[(48, 1024, 200), (48, 1024, 400), (48, 1024, 700), (48, 1024, 1400), (48, 2048, 1500), (48, 2048, 2048)],
    ),
    Probe::new(
        "copy_broken_min_len",
        &["0", "4096", "8192", "16384", "32768", "65536", "524288", "max"],
        BACKWARD,
        &[
            (32, 129, 65),
            (64, 100, 50),
            (64, 65, 65),
            (100, 101, 101),
            (128, 301, 130),
            (200, 100, 45),
            (128, 479, 256),
            (128, 700, 512),
            (300, 845, 845),
            (1024, 845, 128),
        ],
    ),
    Probe::new(
        "copy_all_min_rows",
        &["24", "64", "128", "256", "384", "576", "max"],
        BACKWARD,
        &[
            (48, 256, 256),
            (96, 512, 512),
            (160, 512, 512),
            (200, 256, 256),
            (300, 512, 300),
            (128, 784, 100),
            (256, 784, 512),
            (700, 640, 640),
            (256, 479, 1024),
            (1024, 768, 768),
            (800, 300, 800),
        ],
    ),
    Probe::new(
        "copy_all_min_stride",
        &["64", "128", "256", "512"],
        BACKWARD,
        &[(160, 96, 160), (160, 192, 192), (160, 320, 160), (200, 784, 160)],
    ),
    Probe::new(
        "copy_min_terms",
        &["2", "16", "24", "32", "48", "64", "128"],
        BACKWARD,
        &[
            (64, 2048, 12),
            (64, 2048, 20),
            (64, 2048, 29),
            (200, 2048, 29),
            (128, 1200, 17),
            (64, 1024, 45),
            (128, 1024, 45),
            (200, 1024, 100),
            (1024, 1024, 30),
        ],
    ),
    Probe::hidden(
        "panel_aligned_min_cols",
        &["256", "512", "1024", "max"],
        BACKWARD,
        &[
            (32, 256, 30),
            (128, 256, 128),
            (64, 400, 40),
            (32, 512, 10),
            (32, 512, 512),
            (10, 784, 512),
            (32, 784, 100),
            (256, 1024, 17),
            (64, 2048, 29),
        ],
    ),
    Probe::new(
        "narrow_panels_min_rows",
        &["0", "14", "32", "64", "128", "256", "max"],
        BACKWARD,
        &[
            (32, 512, 100),
            (32, 784, 512),
            (64, 256, 128),
            (128, 512, 256),
            (128, 784, 512),
            (128, 1024, 1024),
            (256, 256, 256),
            (400, 2200, 2200),
            (640, 720, 72),
            (1024, 1024, 1024),
        ],
    ),
    Probe::new(
        "narrow_panels_min_terms",
        &["0", "16", "24", "32", "64", "128", "max"],
        BACKWARD,
        &[(12, 784, 30), (24, 1200, 17), (28, 512, 64), (32, 784, 100), (64, 256, 128), (128, 784, 100)],
    ),
    Probe::new(
        "pack_left_min_panels",
        &["0", "1", "2", "3", "5", "8", "4096"],
        BACKWARD,
        &[(128, 100, 256), (128, 160, 256), (128, 256, 256), (128, 512, 256), (128, 784, 100), (256, 1024, 256)],
    ),
    Probe::hidden(
        "pack_left_min_terms",
        &["2", "32", "64", "136", "256", "max"],
        BACKWARD,
        &[
            (10, 784, 100),
            (32, 600, 100),
            (64, 600, 600),
            (96, 1300, 100),
            (128, 784, 100),
            (144, 1000, 200),
            (200, 600, 600),
            (256, 600, 300),
        ],
    ),
    Probe::new(
        "pack_left_pages_min_panels",
        &["0", "3", "5", "8", "16", "4096"],
        BACKWARD,
        &[(128, 256, 1024), (128, 300, 2048), (256, 479, 1024), (512, 1024, 1024)],
    ),
    Probe::hidden(
        "pack_left_terms",
        &["4", "8", "16", "32", "max"],
        BACKWARD,
        &[(128, 512, 1024), (256, 512, 1024), (100, 256, 2048)],
    ),
    Probe::new(
        "staging_min_rows",
        &["128", "256", "512", "1024", "max"],
        BOTH,
        &[(300, 512, 512), (512, 512, 256), (512, 1024, 512), (600, 784, 512)],
    ),
    Probe::new(
        "staging_min_stride",
        &["128", "256", "512", "1024"],
        BOTH,
        &[(600, 300, 160), (600, 300, 320), (600, 512, 600)],
    ),
    Probe::new(
        "staging_plain_min_terms",
        &["2", "513", "641", "769", "1025"],
        BACKWARD,
        &[(512, 512, 512), (512, 784, 512), (512, 1024, 512), (600, 800, 400), (1000, 1000, 1000), (1024, 600, 700)],
    ),
    Probe::hidden("staging_max_rows", &["256", "512", "1024", "2048"], BACKWARD, &[(512, 512, 1024), (512, 768, 2048)]),
    Probe {
        weights: Weights::Packed,
        ..Probe::hidden(
            "left_max_len",
            &["32768", "65536", "98304", "196608", "524288", "max"],
            FORWARD,
            &[
                (256, 1024, 512),
                (256, 512, 512),
                (512, 479, 512),
                (256, 1024, 1024),
                (400, 2200, 2200),
                (300, 4096, 1024),
                (2048, 1024, 512),
            ],
        )
    },
    Probe::hidden(
        "left_prefetch_min_len",
        &["0", "16384", "65536", "262144", "max"],
        BOTH,
        &[(32, 784, 100), (64, 256, 256), (128, 512, 512), (256, 784, 256), (256, 1024, 512)],
    ),
    Probe::new(
        "along_rows_max_terms",
        &["0", "4", "6", "8", "10", "12", "16", "24", "32"],
        BACKWARD,
        &[
            (5, 1024, 256),
            (7, 1024, 512),
            (8, 1024, 1024),
            (10, 1024, 512),
            (12, 1024, 256),
            (12, 2048, 64),
            (16, 1024, 512),
            (20, 1024, 256),
            (24, 1024, 100),
            (24, 2048, 29),
            (32, 2048, 40),
        ],
    ),
    Probe::new(
        "along_rows_stride",
        &["128", "256", "512", "1024", "2048"],
        BACKWARD,
        &[
            (5, 512, 512),
            (8, 512, 64),
            (10, 512, 512),
            (3, 512, 100),
            (8, 256, 256),
            (6, 1536, 200),
            (8, 768, 300),
            (8, 384, 100),
            (5, 256, 64),
            (6, 1024, 200),
            (128, 512, 8),
        ],
    ),
    Probe::new(
        "along_rows_far_min_len",
        &["0", "16384", "65536", "196608", "393216", "max"],
        BACKWARD,
        &[(7, 200, 100), (10, 300, 200), (5, 512, 512), (10, 784, 100), (2, 784, 512), (10, 784, 512), (10, 2200, 500)],
    ),
    Probe::new(
        "along_rows_min_rows",
        &["16", "32", "64", "128"],
        BACKWARD,
        &[(8, 1024, 20), (8, 1024, 40), (8, 1024, 100), (8, 1024, 200)],
    ),
    Probe::new(
        "along_rows_max_len",
        &["16384", "32768", "65536", "131072", "max"],
        BACKWARD,
        &[(24, 2048, 29), (30, 2048, 40), (20, 4096, 20), (30, 4096, 24), (20, 8192, 20), (10, 8192, 100)],
    ),
    Probe::new(
        "right_max_len",
        &["4096", "8192", "16384", "32768", "65536", "131072"],
        BACKWARD,
        &[
            (10, 784, 100),
            (16, 512, 64),
            (32, 784, 100),
            (64, 512, 128),
            (64, 784, 128),
            (128, 512, 256),
            (100, 784, 256),
        ],
    ),
    Probe::hidden(
        "epilogue_max_len",
        &["512", "1024", "2048", "4096", "8192"],
        FORWARD,
        &[(128, 64, 64), (128, 256, 128), (256, 784, 100), (256, 13, 512)],
    ),
    Probe::hidden(
        "dz_joined_max_cols",
        &["0", "1", "2", "3", "4"],
        BACKWARD,
        &[(64, 40, 1), (128, 80, 2), (128, 20, 3), (128, 20, 4), (1024, 20, 1), (1024, 20, 3), (1024, 20, 4)],
    ),
    Probe::hidden(
        "dz_joined_min_rows",
        &["1", "16", "32", "64", "128", "257", "max"],
        BACKWARD,
        &[(8, 13, 1), (16, 13, 1), (24, 13, 2), (48, 13, 1), (96, 20, 2), (200, 20, 1), (512, 20, 2)],
    ),
    Probe::new(
        "few_dot_rows",
        &["0", "2", "4", "6", "8", "10", "12", "15", "20", "32"],
        FORWARD,
        &[
            (3, 784, 30),
            (5, 784, 30),
            (7, 784, 100),
            (8, 512, 30),
            (9, 100, 10),
            (10, 784, 100),
            (12, 784, 30),
            (14, 512, 30),
            (16, 128, 300),
            (18, 256, 100),
            (20, 160, 200),
        ],
    ),
    Probe::hidden(
        "dot_aligned_max_rows",
        &["0", "1", "2"],
        FORWARD,
        &[(1, 100, 30), (1, 479, 256), (2, 129, 65), (2, 785, 100)],
    ),
    Probe::hidden(
        "dot_aligned_min_terms",
        &["0", "64", "256", "max"],
        FORWARD,
        &[(1, 30, 10), (1, 45, 60), (1, 129, 65), (2, 203, 30)],
    ),
    Probe::hidden(
        "dot_aligned_tall_min_terms",
        &["0", "128", "256", "384", "512", "max"],
        FORWARD,
        &[
            (128, 96, 10),
            (64, 128, 10),
            (128, 192, 10),
            (64, 256, 16),
            (256, 256, 10),
            (64, 320, 10),
            (32, 384, 10),
            (64, 512, 10),
            (10, 784, 30),
            (10, 784, 100),
        ],
    ),
    Probe::hidden(
        "dot_aligned_narrow_max_cols",
        &["0", "1", "2", "3", "4", "6"],
        FORWARD,
        &[(128, 80, 2), (256, 112, 2), (128, 128, 3), (256, 256, 3), (128, 192, 4), (256, 320, 4), (512, 240, 5)],
    ),
    Probe::hidden(
        "dot_aligned_narrow_terms",
        &["0", "16", "32", "40", "64", "128"],
        FORWARD,
        &[
            (256, 48, 2),
            (256, 64, 2),
            (128, 80, 2),
            (256, 112, 2),
            (128, 64, 3),
            (128, 96, 3),
            (128, 160, 3),
            (128, 160, 4),
        ],
    ),
    Probe::new(
        "dot_rows_first_max_rows",
        &["0", "8", "10", "12", "15", "16", "18", "20", "24", "32"],
        FORWARD,
        &[
            (8, 784, 100),
            (10, 1024, 100),
            (12, 1024, 100),
            (15, 784, 100),
            (16, 640, 100),
            (16, 784, 100),
            (18, 784, 100),
            (20, 784, 100),
            (24, 1200, 30),
            (28, 784, 32),
            (32, 784, 30),
        ],
    ),
    Probe::new(
        "dot_rows_first_min_len",
        &["0", "8192", "9216", "10240", "11264", "12288", "13312", "15360", "max"],
        FORWARD,
        &[
            (8, 400, 100),
            (8, 512, 512),
            (8, 700, 100),
            (10, 512, 100),
            (10, 640, 100),
            (10, 700, 100),
            (10, 784, 30),
            (10, 784, 512),
            (12, 600, 100),
            (15, 512, 100),
            (15, 600, 100),
            (16, 512, 100),
            (16, 640, 100),
            (20, 400, 100),
            (20, 512, 300),
        ],
    ),
    Probe::new(
        "dot_rows_first_max_len",
        &["0", "8192", "9216", "10240", "11264", "12288", "13312", "15360", "max"],
        FORWARD,
        &[
            (8, 900, 100),
            (8, 1024, 100),
            (8, 1040, 300),
            (8, 1200, 100),
            (10, 960, 100),
            (10, 1024, 300),
            (10, 1100, 100),
            (10, 1200, 300),
            (10, 1300, 100),
            (12, 1024, 100),
            (12, 1100, 100),
            (12, 1200, 300),
            (12, 1400, 100),
            (16, 1200, 100),
            (16, 2048, 100),
        ],
    ),
    Probe::new(
        "dot_rows_first_max_right_len",
        &["0", "131072", "262144", "393216", "524288", "1048576", "2097152", "3145728", "4194304", "max"],
        FORWARD,
        &[
            (10, 1024, 100),
            (12, 1024, 200),
            (10, 1024, 300),
            (9, 1200, 400),
            (12, 1024, 768),
            (15, 784, 1500),
            (12, 1024, 2048),
            (10, 1024, 4096),
            (20, 784, 4096),
        ],
    ),
    Probe::hidden(
        "dot_parts_min_terms",
        &["48", "64", "96", "128", "256", "max"],
        FORWARD,
        &[
            (1, 64, 400),
            (1, 80, 320),
            (1, 112, 300),
            (1, 128, 256),
            (1, 200, 200),
            (1, 256, 256),
            (1, 512, 300),
            (1, 784, 100),
            (1, 1000, 100),
        ],
    ),
    Probe::hidden(
        "dot_parts_max_terms",
        &["0", "128", "256", "512", "1024", "2048", "max"],
        FORWARD,
        &[(1, 128, 256), (1, 256, 256), (1, 320, 100), (1, 512, 300), (1, 784, 100), (1, 1024, 100), (1, 2048, 64)],
    ),
    Probe::hidden(
        "dot_parts_min_len",
        &["9216", "16384", "24576", "49152", "98304", "max"],
        FORWARD,
        &[(1, 200, 64), (1, 256, 50), (1, 320, 64), (1, 784, 30), (1, 300, 100), (1, 256, 128), (1, 784, 100)],
    ),
    Probe::hidden(
        "dot_parts_rows_min_terms",
        &["96", "192", "240", "320", "512", "max"],
        FORWARD,
        &[
            (2, 128, 256),
            (2, 200, 200),
            (2, 256, 256),
            (2, 400, 100),
            (2, 784, 100),
            (3, 256, 128),
            (3, 384, 100),
            (3, 500, 100),
            (3, 784, 100),
        ],
    ),
    Probe::hidden(
        "dot_parts_rows_max_terms",
        &["0", "512", "1024", "2048", "4096", "max"],
        FORWARD,
        &[(2, 512, 300), (2, 1024, 100), (2, 1536, 64), (2, 3072, 64), (3, 784, 100), (3, 1536, 64), (3, 4096, 32)],
    ),
    Probe::hidden(
        "chunk_max_blocks",
        &["1", "2", "4", "8"],
        BACKWARD,
        &[(1024, 64, 64), (1024, 256, 256), (1024, 512, 256)],
    ),
    Probe::shared("traffic_cost", &["0.05", "0.1", "0.2", "0.4", "0.8"], BOTH, SHARED),
    Probe::shared(
        "far_traffic_cost",
        &["0.05", "0.1", "0.2", "0.4", "0.8"],
        BOTH,
        &[(1, 512, 512), (1, 784, 512), (1, 1024, 1024), (2, 784, 512), (1, 2200, 2200)],
    ),
    Probe::shared(
        "far_traffic_min_len",
        &["65536", "131072", "196608", "393216", "786432"],
        BOTH,
        &[(1, 784, 100), (1, 512, 256), (1, 512, 512), (1, 784, 512), (1, 1024, 600)],
    ),
    Probe::shared(
        "parallel_min_cycles",
        &["250", "500", "1000", "2000", "4000"],
        BOTH,
        &[
            (1, 100, 30),
            (1, 784, 10),
            (8, 129, 65),
            (10, 30, 10),
            (10, 64, 32),
            (10, 100, 30),
            (32, 30, 10),
            (32, 64, 16),
        ],
    ),
    Probe::shared(
        "seam_cost",
        &["0", "40", "80", "160", "320"],
        BOTH,
        &[(32, 784, 30), (64, 512, 64), (128, 100, 100), (128, 784, 100), (256, 256, 128)],
    ),
    Probe::shared(
        "max_pieces",
        &["1", "2", "4", "8"],
        BOTH,
        &[(128, 512, 512), (256, 784, 512), (512, 512, 256), (256, 1024, 1024)],
    ),
];

#[cfg(test)]
mod tests {
    use super::*;
    use fused_dense::Tuning;

    #[test]
    fn probes_are_about_numbers_that_exist_each_once() {
        let row = &Tuning::all()[0];
        for (index, probe) in PROBES.iter().enumerate() {
            assert!(PROBES[..index].iter().all(|other| other.number != probe.number), "{} comes twice", probe.number);
            for value in probe.values {
                assert!(row.with_number(probe.number, value).is_ok(), "{}={value}", probe.number);
            }
            assert!(probe.shapes().count() >= 2 && !probe.calls.is_empty(), "{}", probe.number);
            // Plans in words are those of one thread, and of calls that update nothing.
            let is_told = probe.threads == 1 && probe.calls.iter().all(|call| call.optimizer().is_none());
            assert!(is_told || !probe.shows_in_plan, "{}", probe.number);
        }
    }
}
