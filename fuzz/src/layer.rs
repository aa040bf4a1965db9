//! One layer's calls with arbitrary shapes, layouts, options, values and threads: the reference's bits, and nothing
//! beside the outputs written.

use crate::support::guarded::{Flush, Guarded};
use crate::support::options::{BackwardOptions, ForwardOptions, UpdateOptions};
use crate::support::problem::Problem;
use crate::support::stored::{Layout, Memory, Placement};
use crate::{Shared, pick, teams};
use arbitrary::{Result, Unstructured};
use fused_dense::{Dense, Operand};

/// The call of a case.
enum Call {
    /// Forward and backward.
    Passes(ForwardOptions, BackwardOptions),
    Update(BackwardOptions, UpdateOptions),
}

/// Checks a case.
///
/// # Errors
/// Where the bytes make none.
pub fn check(u: &mut Unstructured<'_>) -> Result<Shared> {
    let (batch, inputs, outputs) = pick::shape(u)?;
    let (threads, team) = teams::threads(u)?;
    let layer = pick::layer(u, inputs, outputs)?.with_threads(threads);
    let shared = is_shared(&layer, batch);
    let mut problem = Problem { packed: u.ratio(1, 4)?, ..Problem::new(layer, batch) };
    let call = if u.ratio(1, 3)? {
        problem.packed = false;
        Call::Update(pick::backward_options(u)?, pick::update_options(u)?)
    } else {
        Call::Passes(pick::forward_options(u)?, pick::backward_options(u)?)
    };
    let mut layouts = [Layout::Slice; Operand::MB as usize + 1];
    for layout in &mut layouts {
        *layout = pick::layout(u)?;
    }
    let (allocate, margin) = memory(u)?;
    let is_held = u.arbitrary()?;
    let is_special = specials(u, &mut problem)? | call.has_special_factors();
    repeat(u, &mut problem, &mut layouts, matches!(call, Call::Update(..)))?;

    let layout = |operand: Operand| layouts[operand as usize];
    let placement = Placement { layout: &layout, allocate, margin };
    let call = || run(&problem, &call, &placement, is_special);
    match team {
        // Its threads are then awake when the call comes.
        Some(team) if is_held => team.hold(call),
        _ => call(),
    }
    Ok(shared)
}

/// Whether calls of this batch are handed to several threads.
pub(crate) fn is_shared(layer: &Dense, batch: usize) -> Shared {
    layer.describe(batch).is_ok_and(|plan| plan.forward.workers.max(plan.d_w.workers) > 1)
}

impl Call {
    /// Whether a factor may make finite values overflow.
    fn has_special_factors(&self) -> bool {
        let factors = match self {
            Self::Passes(_, backward) => [backward.scale, 0.0, 0.0],
            Self::Update(backward, update) => [backward.scale, update.learning_rate, update.weight_decay],
        };
        !factors.iter().all(|factor| factor.abs() <= 2.0)
    }
}

fn run(problem: &Problem, call: &Call, placement: &Placement<'_>, is_special: bool) {
    let is_exact = problem.layer.isa().is_ok_and(|isa| isa.is_bit_exact());
    match call {
        // Bounds of the error hold for finite values.
        Call::Passes(forward, backward) if is_special && !is_exact => {
            problem.forward(forward, placement);
            problem.backward(backward, placement);
        }
        Call::Update(backward, update) if is_special && !is_exact => {
            problem.update(backward, update, placement);
        }
        Call::Passes(forward, backward) => problem.check(forward, backward, placement),
        Call::Update(backward, update) => problem.check_update(backward, update, placement),
    }
}

/// How memory is had.
type Allocate = fn(usize) -> Memory;

/// Memory with canaries around each operand, or that ends, or begins, where no access is allowed.
fn memory(u: &mut Unstructured<'_>) -> Result<(Allocate, usize)> {
    Ok(match u.int_in_range(0..=5)? {
        0 | 1 => (|len| Box::new(vec![0.0; len]), 64),
        2 | 3 => (|len| Box::new(vec![0.0; len]), 0),
        4 => (|len| Box::new(Guarded::new(len, Flush::Last)), 0),
        _ => (|len| Box::new(Guarded::new(len, Flush::First)), 0),
    })
}

/// Makes now and then one input repeat a row or column, by a stride of 0. What an update changes has none.
fn repeat(u: &mut Unstructured<'_>, problem: &mut Problem, layouts: &mut [Layout], is_update: bool) -> Result<()> {
    if !u.ratio(1, 4)? {
        return Ok(());
    }
    let (inputs, outputs) = (problem.layer.inputs(), problem.layer.outputs());
    let (operand, values, cols) = match u.int_in_range(0..=if is_update { 2 } else { 4 })? {
        0 => (Operand::APrev, &mut problem.a_prev, inputs),
        1 => (Operand::DA, &mut problem.d_a, outputs),
        2 => (Operand::Targets, &mut problem.targets, outputs),
        3 => (Operand::W, &mut problem.w, inputs),
        _ => (Operand::B, &mut problem.b, outputs),
    };
    if values.is_empty() {
        return Ok(());
    }
    layouts[operand as usize] = if u.arbitrary()? {
        let (first, others) = values.split_at_mut(cols);
        others.chunks_mut(cols).for_each(|row| row.copy_from_slice(first));
        Layout::RepeatedRow
    } else {
        values.chunks_mut(cols).for_each(|row| row.fill(row[0]));
        Layout::RepeatedColumn
    };
    Ok(())
}

/// Puts special values here and there; says whether it did.
fn specials(u: &mut Unstructured<'_>, problem: &mut Problem) -> Result<bool> {
    let mut any = false;
    // Half of the cases have none.
    for _ in 6..u.int_in_range(0..=11)? {
        let operands = [
            &mut problem.a_prev,
            &mut problem.w,
            &mut problem.b,
            &mut problem.z,
            &mut problem.d_a,
            &mut problem.d_z,
            &mut problem.targets,
            &mut problem.old_w,
            &mut problem.old_b,
            &mut problem.old_a_prev,
        ];
        let values = operands.into_iter().nth(u.int_in_range(0..=9)?).expect("one of ten");
        if let Some(last) = values.len().checked_sub(1) {
            values[u.int_in_range(0..=last)?] = pick::value(u)?;
            any = true;
        }
    }
    Ok(any)
}
