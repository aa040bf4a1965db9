//! The cost model: cycles that the parts of a call are expected to take.

use super::{Question, RightOperand, Route};
use crate::isa::Target;
use crate::tuning::Tuning;

/// Cycles that tiles are expected to take: multiply-adds of whole vectors, packing, scattering.
pub(super) fn tiles(question: &Question, right: RightOperand) -> f64 {
    let Question { target: Target { tuning, .. }, shape, .. } = question;
    let (m, n, k) = (shape.m as f64, shape.n as f64, shape.k as f64);
    let scatter = if shape.has_contiguous_rows() { 0.0 } else { tuning.transpose_cost };
    let multiply_adds = tuning.multiply_add_cost * m * vectors(question.target, shape.n);
    (multiply_adds + right_cost(*question, right) * n + left_cost(*question) * m) * k + scatter * m * n
}

/// Cycles for each element of a left operand that lies across the sum, with terms a page and more apart.
fn left_cost(Question { target: Target { kernels, tuning }, shape, .. }: Question) -> f64 {
    let stride = shape.a_strides.1;
    if shape.a_strides.0 != 1 || shape.k <= 1 || stride < tuning.page_stride {
        0.0
    } else if tuning.is_pages(stride) {
        tuning.left_across_pages_cost
    } else {
        tuning.left_across_long_rows_cost * shape.n.div_ceil(kernels.nr()) as f64
    }
}

/// Vectors that tiles of so many columns multiply: whole ones, and perhaps half of the last.
pub(super) fn vectors(target: Target, cols: usize) -> f64 {
    let Target { kernels, tuning } = target;
    kernels.padded(cols, tuning.half_last_vectors) as f64 / kernels.lanes as f64
}

/// Cycles for each element of the right operand that are spent before the kernels read it.
fn right_cost(question: Question, right: RightOperand) -> f64 {
    let tuning = question.target.tuning;
    match right {
        RightOperand::InPlace | RightOperand::Prepacked => 0.0,
        RightOperand::Copied | RightOperand::Gathered => tuning.copy_cost,
        RightOperand::Transposed => tuning.transpose_cost,
    }
}

/// Cycles that `rows × cols` of a product take, what is packed for them alone included.
pub(super) fn part(question: &Question, route: &Route, rows: usize, cols: usize) -> f64 {
    let Target { kernels, tuning } = question.target;
    let depth = question.shape.k;
    let (m, n, k) = (rows as f64, cols as f64, depth as f64);
    let per_panel = |panel_vectors: usize| {
        let panels = cols.div_ceil(panel_vectors * kernels.lanes) as f64;
        (tuning.multiply_add_cost * vectors(question.target, cols) + tuning.left_per_panel_cost * panels) * m * k
    };
    let (multiply_adds, right, left) = match route {
        Route::DotProducts(_) | Route::DotsByParts { .. } | Route::ShortDots(_) => {
            (tuning.multiply_add_cost * m * n * depth.div_ceil(kernels.lanes) as f64, 0.0, 0.0)
        }
        Route::Tiles(tiles) => {
            let left = if tiles.pack_left_terms.is_some() { tuning.copy_cost } else { 0.0 };
            (per_panel(tiles.panel_vectors), right_cost(*question, tiles.right), left)
        }
        _ => (per_panel(kernels.panel_vectors), 0.0, 0.0),
    };
    let whole = (question.shape.m as f64, question.shape.n as f64, k);
    let traffic = element_cost(tuning, whole) * elements((m, n, k));
    multiply_adds.max(traffic) + right * k * n + left * k * m + tuning.activation_cost * m * n
}

/// Cycles that an `m × n` product with sums of `k` terms takes on one core, roughly: the question of how many work on
/// it comes before its plan.
pub(crate) fn product_cycles(target: Target, m: usize, n: usize, k: usize) -> f64 {
    let tuning = target.tuning;
    let [across, along] = [m, n].map(|cols| vectors(target, cols));
    let (m, n, k) = (m as f64, n as f64, k as f64);
    let vectors = (m * along).min(n * across);
    (tuning.multiply_add_cost * vectors * k).max(element_cost(tuning, (m, n, k)) * elements((m, n, k)))
}

/// Elements of both operands and the output of an `m × n` product with sums of `k` terms.
fn elements((m, n, k): (f64, f64, f64)) -> f64 {
    m * k + k * n + m * n
}

/// Cycles that each of a product's elements takes on its way to the core.
fn element_cost(tuning: &Tuning, sizes: (f64, f64, f64)) -> f64 {
    if elements(sizes) < tuning.far_traffic_min_len as f64 { tuning.traffic_cost } else { tuning.far_traffic_cost }
}

/// Cycles that the activation of an `m × n` output takes on one core.
pub(crate) fn activation_cycles(target: Target, m: usize, n: usize) -> f64 {
    target.tuning.activation_cost * m as f64 * n as f64
}

/// Cycles that `dz` and its column sums take on one core.
pub(crate) fn dz_cycles(target: Target, rows: usize, cols: usize) -> f64 {
    target.tuning.dz_cost * rows as f64 * cols as f64
}
