//! Calls on a network one after the other, with right and wrong arguments, its layers exchanged meanwhile: no panic, an
//! error leaves the parameters alone, and what is right has the bits of its layers' reference.

mod model;

use crate::layer::is_shared;
use crate::support::values;
use crate::{Shared, pick, teams};
use arbitrary::{Result, Unstructured};
use fused_dense::{Activation, Cost, Dense, Error, Network, Sgd, Threads};
use model::Model;

const MOST_BATCH: usize = 40;

/// One call of a network.
#[derive(Clone, Copy, Debug)]
enum Call {
    Forward,
    Gradients,
    Step(f32),
}

/// Checks a case.
///
/// # Errors
/// Where the bytes make none.
pub fn check(u: &mut Unstructured<'_>) -> Result<Shared> {
    let (threads, _) = teams::threads(u)?;
    let Some(mut network) = network(u, &threads)? else { return Ok(false) };
    // Layers of other sizes and room, to be taken from.
    let mut other = self::network(u, &threads)?;
    let mut shared = false;
    let mut is_whole = true;
    for _ in 0..u.int_in_range(1..=6)? {
        if u.ratio(1, 5)? {
            is_whole &= !exchange(u, &mut network, other.as_mut())?;
        }
        shared |= call(u, &mut network, is_whole)?;
    }
    Ok(shared)
}

/// A network with parameters; `None` where its layers make none, which it must say.
fn network(u: &mut Unstructured<'_>, threads: &Threads) -> Result<Option<Network>> {
    let width = |u: &mut Unstructured<'_>| u.int_in_range(0..=33_usize);
    let mut layers: Vec<Dense> = Vec::new();
    for _ in 0..u.int_in_range(0..=4)? {
        let inputs = match layers.last() {
            Some(before) if !u.ratio(1, 16)? => before.outputs(),
            _ => width(u)?,
        };
        let outputs = width(u)?;
        layers.push(pick::layer(u, inputs, outputs)?.with_threads(threads.clone()));
    }
    let cost = *u.choose(&[Cost::BinaryCrossEntropy, Cost::Quadratic])?;
    if let (Cost::BinaryCrossEntropy, Some(last)) = (cost, layers.pop()) {
        // Mostly the one that fits.
        let (inputs, outputs) = (last.inputs(), last.outputs());
        let sigmoid = Dense::new(inputs, outputs, Activation::Sigmoid).with_threads(threads.clone());
        layers.push(if u.ratio(1, 16)? { last } else { sigmoid });
    }
    let is_chain = !layers.is_empty() && layers.windows(2).all(|pair| pair[0].outputs() == pair[1].inputs());
    let fits = cost == Cost::Quadratic || layers.last().is_some_and(|last| last.activation() == Activation::Sigmoid);
    let max_batch = u.int_in_range(0..=MOST_BATCH)?;
    let builder = Network::of(layers).cost(cost).optimizer(Sgd::new(1.0)).max_batch(max_batch);
    let network = if u.arbitrary()? { builder.build() } else { builder.unguarded().build() };
    assert_eq!(network.is_ok(), is_chain && fits, "{:?}", network.err());
    let Ok(mut network) = network else { return Ok(None) };
    let seed = u.arbitrary::<u8>()?;
    for (index, layer) in network.layers_mut().iter_mut().enumerate() {
        for (parameters, _) in layer.parameters_mut() {
            parameters.copy_from_slice(&values(parameters.len(), u64::from(seed) + 3 * index as u64));
        }
    }
    Ok(Some(network))
}

/// Puts layers elsewhere, or others in their place; whether anything has changed that a call may refuse.
fn exchange(u: &mut Unstructured<'_>, network: &mut Network, other: Option<&mut Network>) -> Result<bool> {
    let layers = network.layers_mut();
    match other {
        Some(other) if u.arbitrary()? => {
            let others = other.layers_mut();
            let (index, its) = (u.choose_index(layers.len())?, u.choose_index(others.len())?);
            match u.int_in_range(0..=2)? {
                0 => core::mem::swap(&mut layers[index], &mut others[its]),
                1 => layers[index].clone_from(&others[its]),
                _ if layers.len() == others.len() => layers.clone_from_slice(others),
                _ => return Ok(false),
            }
        }
        _ => layers.swap(u.choose_index(layers.len())?, u.choose_index(layers.len())?),
    }
    Ok(true)
}

/// One call with arguments that mostly fit; whether it was shared.
fn call(u: &mut Unstructured<'_>, network: &mut Network, is_whole: bool) -> Result<Shared> {
    let model = Model::of(network);
    let batch = u.int_in_range(0..=MOST_BATCH)?.min(network.max_batch() + usize::from(u.ratio(1, 16)?));
    let wrong = if u.ratio(1, 8)? { u.int_in_range(1..=3)? } else { 0 };
    let is_wrong_x = u.arbitrary()?;
    let more = |is_wrong: bool| if is_wrong { wrong } else { 0 };
    let x = values(batch * model.inputs() + more(is_wrong_x), 1);
    let y: Vec<f32> = values(batch * model.outputs() + more(!is_wrong_x), 2).iter().map(|y| 0.25 * y + 0.5).collect();
    let call = match u.int_in_range(0..=2)? {
        0 => Call::Forward,
        1 => Call::Gradients,
        _ => Call::Step(pick::rate(u)?),
    };
    let max_batch = network.max_batch();
    let result = match call {
        Call::Forward => network.forward(&x).map(|a| (None, Some(a.to_vec()))),
        Call::Gradients => network.gradients(&x, &y).map(|cost| (Some(cost), None)),
        Call::Step(rate) => {
            network.set_learning_rate(rate).and_then(|()| network.step(&x, &y)).map(|cost| (Some(cost), None))
        }
    };
    // No slice tells the batch of a layer without inputs.
    let fits = wrong == 0 && batch <= max_batch && model.inputs() > 0;
    if fits && is_whole && model.outputs() > 0 {
        // The guard refuses what is not finite.
        let is_refused = matches!((call, &result), (Call::Step(_), Err(Error::NotFinite { .. })));
        assert!(result.is_ok() || is_refused, "{call:?} of {batch} samples: {result:?}");
    }
    let is_shared = result.is_ok() && network.layers().iter().any(|layer| is_shared(layer.dense(), batch));
    match result {
        Ok((cost, a)) if fits => model.check(network, &x, &y, batch, call, cost, a),
        Ok(_) => {}
        Err(error) => model.check_untouched(network, call, &error),
    }
    Ok(is_shared)
}

impl Model {
    /// Parameters are what they were.
    fn check_untouched(&self, network: &Network, call: Call, error: &Error) {
        assert!(self.has_parameters_of(network), "{call:?} failed ({error}), but has changed parameters");
    }
}
