//! Times the ordered sum of all ranks beside `MPI_Allreduce` with `SUM`:
//!
//! ```text
//! cargo build --release --example reduction
//! mpirun -n 2 target/release/examples/reduction
//! mpirun -n 4 target/release/examples/reduction
//! ```
//!
//! Both are run in turn, each round begins behind a barrier, and a round's time is that of the slowest rank. The table has
//! medians in microseconds.

use fused_dense::{Activation, Network};
use fused_dense_mpi::mpi::collective::SystemOperation;
use fused_dense_mpi::mpi::topology::SimpleCommunicator;
use fused_dense_mpi::mpi::traits::{Communicator, CommunicatorCollectives};
use fused_dense_mpi::mpi::{Threading, initialize_with_threading};
use fused_dense_mpi::{Distributed, Error, Options, State, Way};
use std::time::Instant;

/// Values of a gradient.
const SIZES: [usize; 3] = [10_000, 1_000_000, 10_000_000];

/// The time that each size is given, about.
const SECONDS: f64 = 4.0;

const LEAST_ROUNDS: usize = 11;

/// One way to add.
type Add<'a> = Box<dyn FnMut(&mut [f32]) -> Result<(), Error> + 'a>;

fn main() -> Result<(), Error> {
    let (universe, _) = initialize_with_threading(Threading::Funneled).expect("MPI is initialised once");
    let world = universe.world();
    let new = |options: Options| {
        let network = Network::builder(1).layer(1, Activation::Identity).build()?;
        Distributed::new(&universe, &world, network, options)
    };
    let mut chosen = new(Options::new())?;
    let forced = |way| Options::new().way(way).state(State::Replicated).bucket(0);
    let (mut exchange, mut chain) = (new(forced(Way::Exchange))?, new(forced(Way::Chain))?);
    let is_first = world.rank() == 0;
    if is_first {
        let machine = chosen.machine();
        println!("{} ranks, {machine:?}", world.size());
        println!("{:>10} {:>10} {:>10} {:>10} {:>10}  plan", "values", "allreduce", "exchange", "chain", "plan/all");
    }
    for size in SIZES {
        let way = chosen.plan_of_sum(size).way;
        let mut received = vec![0.0; size];
        let mut ways: [Add<'_>; 4] = [
            Box::new(|values: &mut [f32]| {
                world.all_reduce_into(&*values, &mut received[..], SystemOperation::sum());
                values.copy_from_slice(&received);
                Ok(())
            }),
            Box::new(|values: &mut [f32]| exchange.ordered_sum(values)),
            Box::new(|values: &mut [f32]| chain.ordered_sum(values)),
            Box::new(|values: &mut [f32]| chosen.ordered_sum(values)),
        ];
        let [all, exchange, chain, planned] = rounds(&world, size, &mut ways)?;
        if is_first {
            println!("{size:>10} {all:>10.1} {exchange:>10.1} {chain:>10.1} {:>10.2}  {way}", planned / all);
        }
    }
    Ok(())
}

/// The median time of each way, in microseconds.
fn rounds<const WAYS: usize>(
    world: &SimpleCommunicator,
    size: usize,
    ways: &mut [Add<'_>; WAYS],
) -> Result<[f64; WAYS], Error> {
    let values: Vec<f32> = (0..size).map(|i| (i % 1000) as f32 / 1000.0 - 0.5).collect();
    let mut totals = values.clone();
    let mut times: [Vec<f64>; WAYS] = std::array::from_fn(|_| Vec::new());
    let start = Instant::now();
    loop {
        for (way, times) in ways.iter_mut().zip(&mut times) {
            totals.copy_from_slice(&values);
            world.barrier();
            let start = Instant::now();
            way(&mut totals)?;
            let (own, mut slowest) = (start.elapsed().as_secs_f64(), 0.0);
            world.all_reduce_into(&own, &mut slowest, SystemOperation::max());
            times.push(1e6 * slowest);
        }
        // All ranks have to end in the same round.
        let (wants, mut all_want) = (u8::from(start.elapsed().as_secs_f64() > SECONDS), 0_u8);
        world.all_reduce_into(&wants, &mut all_want, SystemOperation::max());
        if all_want > 0 && times[0].len() >= LEAST_ROUNDS {
            break;
        }
    }
    // The first round pays for memory.
    Ok(times.map(|times| median(times[1..].to_vec())))
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}
