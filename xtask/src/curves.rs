//! `cargo xtask curves`: PyTorch and the crate train one network from the same parameters on the same batches; their costs
//! have to agree step by step.

use crate::bench::recipe::Recipe;
use crate::bench::shape::Network;
use crate::bench::training::Training;
use crate::peers::{self, Framework};
use crate::summary::{Outcome, Summary};
use anyhow::ensure;
use fused_dense::{Isa, Threads};

/// Trains as PyTorch does and compares the costs of all steps
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Fail where PyTorch is not installed
    #[arg(long)]
    strict: bool,
}

/// Steps that are compared.
const STEPS: usize = 100;

/// Batches that are gone through again and again, so that there is something to learn.
const BATCHES: usize = 5;

/// How far the costs of a step may be apart. Rounding alone makes some millionths; a wrong rule shows after two steps.
const TOLERANCE: f64 = 1e-4;

/// One for each optimiser, with a rate at which it learns.
const RECIPES: [(Recipe, f32); 3] =
    [(Recipe::ReluSoftmaxSgd, 0.1), (Recipe::ReluSoftmaxMomentum, 0.02), (Recipe::ReluSoftmaxAdam, 0.001)];

/// Compares all.
///
/// # Errors
/// Where costs differ.
pub fn main(args: &Args) -> anyhow::Result<()> {
    let mut summary = Summary::default();
    let pytorch = peers::pytorch();
    for (recipe, rate) in RECIPES {
        summary.step(recipe.name(), || compare(recipe, rate, pytorch.as_ref()));
    }
    summary.finish(args.strict)
}

fn compare(recipe: Recipe, rate: f32, pytorch: Result<&Framework, &anyhow::Error>) -> anyhow::Result<Outcome> {
    let network = Network::new(32, &[784, 100, 10]);
    let training = Training::of_epochs(network, recipe, BATCHES * 32).with_new_optimizer(rate);
    let pytorch = match pytorch {
        Ok(pytorch) => pytorch,
        Err(error) => {
            return Ok(Outcome::Skipped(format!("{error}: `cargo xtask peers install --frameworks` brings it")));
        }
    };
    let (ours, theirs) = (costs(&training, STEPS)?, pytorch.costs(&training, STEPS)?);
    let (step, difference) = largest_difference(&ours, &theirs);
    let (our, their) = (ours[step], theirs[step]);
    ensure!(difference <= TOLERANCE, "the cost of step {} is {our}, PyTorch's is {their}", step + 1);
    Ok(Outcome::Ran(format!(
        "{STEPS} steps, from a cost of {:.3} to {:.3}; the largest difference from PyTorch's is {difference:.1e}, in step {}",
        ours[0],
        ours[STEPS - 1],
        step + 1,
    )))
}

/// Our cost of each step on a training's batches, gone through in their order again and again.
fn costs(training: &Training, steps: usize) -> anyhow::Result<Vec<f64>> {
    let mut network = peers::network(training, Isa::available()[0], Threads::Serial)?;
    let batches = training.samples / training.network.batch;
    let cost = |step: usize| {
        let samples = training.batch(step % batches);
        Ok(network.step(training.x_of(samples.clone()), training.targets_of(samples))?)
    };
    (0..steps).map(cost).collect()
}

/// The step in which costs differ most, and by how much; a cost that is no number differs most.
fn largest_difference(ours: &[f64], theirs: &[f32]) -> (usize, f64) {
    let differences = ours.iter().zip(theirs).map(|(ours, &theirs)| (ours - f64::from(theirs)).abs());
    let differences = differences.map(|difference| if difference.is_nan() { f64::INFINITY } else { difference });
    differences.enumerate().max_by(|a, b| a.1.total_cmp(&b.1)).unwrap_or((0, f64::INFINITY))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_is_found_in_its_step() {
        let (step, difference) = largest_difference(&[1.0, 0.5, 0.25], &[1.0, 0.75, 0.25]);
        assert_eq!((step, difference), (1, 0.25));
        assert_eq!(largest_difference(&[1.0, f64::NAN], &[1.0, 0.5]), (1, f64::INFINITY));
        assert_eq!(largest_difference(&[], &[]).1, f64::INFINITY);
    }

    /// There is something to learn, so that a wrong rule shows.
    #[test]
    fn costs_fall() {
        for (recipe, rate) in RECIPES {
            let training = Training::of_epochs(Network::new(32, &[784, 20, 10]), recipe, 32).with_new_optimizer(rate);
            let costs = costs(&training, 50).unwrap();
            assert!(costs[49] < costs[0] - 0.01, "{recipe}: {costs:?}");
        }
    }
}
