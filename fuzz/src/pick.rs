//! Arbitrary parts of a case, weighted to where faults are likely.

use crate::support::options::{BackwardOptions, ForwardOptions, Rule, UpdateOptions};
use crate::support::stored::Layout;
use arbitrary::{Result, Unstructured};
use fused_dense::{Activation, Dense, Isa, Summation};

/// Around the edges of vectors, of blocks of the sum and of slabs of the batch.
const EDGES: [usize; 17] = [31, 32, 33, 63, 64, 65, 127, 129, 255, 256, 257, 300, 511, 513, 1023, 1025, 1040];

/// Mostly within a few tiles.
pub(crate) fn size(u: &mut Unstructured<'_>) -> Result<usize> {
    match u.int_in_range(0..=11)? {
        0..=5 => u.int_in_range(0..=20),
        6..=8 => u.int_in_range(1..=70),
        9 => u.int_in_range(71..=300),
        _ => Ok(*u.choose(&EDGES)?),
    }
}

/// Batch, inputs and outputs of a layer that scalar loops compute in a millisecond or two.
pub(crate) fn shape(u: &mut Unstructured<'_>) -> Result<(usize, usize, usize)> {
    const MOST_TERMS: usize = 1 << 17;
    let mut sizes = [size(u)?, size(u)?, size(u)?];
    while sizes.iter().product::<usize>() > MOST_TERMS {
        // Cut the shorter of the two long sides: the longest stays at its edge.
        let mut by_size = [0, 1, 2];
        by_size.sort_by_key(|&side| sizes[side]);
        sizes[by_size[1]] /= 2;
    }
    let [batch, inputs, outputs] = sizes;
    // No slice tells the batch of a layer without inputs and without outputs.
    Ok((if inputs == 0 && outputs == 0 { 0 } else { batch }, inputs, outputs))
}

/// A layout of any operand.
pub(crate) fn layout(u: &mut Unstructured<'_>) -> Result<Layout> {
    Ok(match u.int_in_range(0..=7)? {
        0..=3 => Layout::Slice,
        4 => Layout::Unused(*u.choose(&[0, 1, 3, usize::MAX])?),
        5 | 6 => Layout::Rows { step: u.int_in_range(1..=3)?, gap: u.int_in_range(0..=20)? },
        _ => Layout::Columns { step: u.int_in_range(1..=3)?, gap: u.int_in_range(0..=20)? },
    })
}

/// A value: any bits, or one that is special to arithmetic or to an activation.
pub(crate) fn value(u: &mut Unstructured<'_>) -> Result<f32> {
    const SPECIAL: [f32; 14] = [
        f32::NAN,
        f32::INFINITY,
        f32::MAX,
        3e38,
        1e20,
        1e-20,
        f32::MIN_POSITIVE,
        f32::from_bits(0x007f_ffff),
        f32::from_bits(1),
        0.0,
        1.0,
        9.010_913,
        88.722_84,
        103.972_08,
    ];
    let x = if u.ratio(1, 4)? { f32::from_bits(u.arbitrary()?) } else { *u.choose(&SPECIAL)? };
    // The tests' sign of a place that was never written.
    Ok(if crate::support::stored::is_canary(x) {
        f32::NAN
    } else if u.arbitrary()? {
        -x
    } else {
        x
    })
}

/// A factor: mostly one of those in use.
pub(crate) fn factor(u: &mut Unstructured<'_>) -> Result<f32> {
    Ok(match u.int_in_range(0..=7)? {
        0..=2 => 1.0,
        3 | 4 => 0.125,
        5 => 0.0,
        6 => -1.5,
        _ => value(u)?,
    })
}

/// A learning rate or a weight decay: a finite number from 0 on.
pub(crate) fn rate(u: &mut Unstructured<'_>) -> Result<f32> {
    let rate = factor(u)?.abs();
    Ok(if rate.is_finite() { rate } else { 1e-3 })
}

/// A rule with settings that are mostly in use.
fn rule(u: &mut Unstructured<'_>) -> Result<Rule> {
    let mu = *u.choose(&[0.5, 0.9, 1.0, f32::MIN_POSITIVE])?;
    let betas = *u.choose(&[(0.9, 0.999), (0.0, 0.0), (0.5, 0.0), (0.0, 0.95), (0.999_999_9, 0.999_999_9)])?;
    let epsilon = *u.choose(&[1e-8, 1e-3, 1.0, f32::MAX])?;
    Ok(match u.int_in_range(0..=4)? {
        0 => Rule::Descent,
        1 => Rule::Momentum { mu },
        2 => Rule::Nesterov { mu },
        3 => Rule::Adam { betas, epsilon },
        _ => Rule::DecoupledAdam { betas, epsilon },
    })
}

pub(crate) fn isa(u: &mut Unstructured<'_>) -> Result<Isa> {
    let isas = Isa::available();
    Ok(isas[u.choose_index(isas.len())?])
}

pub(crate) fn activation(u: &mut Unstructured<'_>) -> Result<Activation> {
    Ok(*u.choose(Activation::all())?)
}

/// A layer of this size, serial.
pub(crate) fn layer(u: &mut Unstructured<'_>, inputs: usize, outputs: usize) -> Result<Dense> {
    let summation = *u.choose(&[Summation::Auto, Summation::Chain, Summation::Lanes])?;
    Ok(Dense::new(inputs, outputs, activation(u)?).with_isa(isa(u)?).with_summation(summation))
}

pub(crate) fn forward_options(u: &mut Unstructured<'_>) -> Result<ForwardOptions> {
    Ok(*u.choose(&ForwardOptions::ALL)?)
}

pub(crate) fn backward_options(u: &mut Unstructured<'_>) -> Result<BackwardOptions> {
    let options = BackwardOptions::nth(u.int_in_range(0..=BackwardOptions::COUNT - 1)?);
    Ok(BackwardOptions { scale: factor(u)?, ..options })
}

pub(crate) fn update_options(u: &mut Unstructured<'_>) -> Result<UpdateOptions> {
    Ok(UpdateOptions {
        rule: rule(u)?,
        learning_rate: rate(u)?,
        weight_decay: rate(u)?,
        step: if u.arbitrary()? { u.int_in_range(1..=20)? } else { u.int_in_range(1..=u64::MAX)? },
        bias: u.arbitrary()?,
    })
}
