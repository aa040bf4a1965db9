//! One layer by several rows: which routes they give it, and how long each takes.

use super::call::Call;
use crate::bench::buffer::Placement;
use crate::bench::measure::{Caches, Effort, Place, Subject, Timed, measure, ratio};
use crate::bench::shape::{Shape, Weights};
use crate::bench::statistics::geometric_mean;
use crate::bench::workload::{Quantity, Workload};
use crate::peers::{Fused, Sharing};
use anyhow::{bail, ensure};
use fused_dense::{Activation, Dense, Tuning};
use std::time::Duration;

/// Where operands begin, for each time that routes are compared on memory of their own: each placement an even number of times,
/// so that each route comes first as often as last.
const COPIES: [Placement; 4] = [Placement::LINE, Placement::LINE, Placement::ALLOCATOR, Placement::ALLOCATOR];

/// A layer's call, as rows are compared by it.
#[derive(Clone, Copy)]
pub struct Work {
    pub shape: Shape,
    pub call: Call,
    pub weights: Weights,
    pub threads: usize,
}

/// A layer's call with the routes that some rows give it.
pub struct Comparison {
    pub work: Work,
    /// For each row the index of its route.
    route_of: Vec<usize>,
    /// A row of each route; the present row's comes first.
    rows: Vec<&'static Tuning>,
}

impl Comparison {
    /// Compares rows by their plans, or takes each as a route of its own.
    ///
    /// # Errors
    /// Where the library refuses.
    pub fn new(work: Work, rows: &[&'static Tuning], present: usize, by_plan: bool) -> anyhow::Result<Self> {
        let keys = rows.iter().enumerate().map(|(index, row)| match by_plan {
            true => work.plan(row),
            false => Ok(index.to_string()),
        });
        let keys: Vec<String> = keys.collect::<anyhow::Result<_>>()?;
        let mut distinct: Vec<usize> = vec![present];
        for index in 0..rows.len() {
            if distinct.iter().all(|&other| keys[other] != keys[index]) {
                distinct.push(index);
            }
        }
        let place = |key: &String| distinct.iter().position(|&other| keys[other] == *key).unwrap_or(0);
        let route_of = keys.iter().map(place).collect();
        Ok(Self { work, route_of, rows: distinct.into_iter().map(|index| rows[index]).collect() })
    }

    /// Whether there is anything to compare.
    pub fn has_routes(&self) -> bool {
        self.rows.len() > 1
    }

    /// The time of the call by each row, in nanoseconds: rounds that all routes take part in, there and back, on some copies of
    /// the operands.
    ///
    /// # Errors
    /// Where the library fails, or two routes have different bits.
    pub fn times(&self, per_row: Duration, min_rounds: usize) -> anyhow::Result<Vec<f64>> {
        let per_row = per_row / COPIES.len() as u32;
        let effort = Effort { per_row, min_rounds, max_rounds: 200, caches: Caches::Warm };
        let mut of_copies: Vec<Vec<f64>> = vec![Vec::new(); self.rows.len()];
        for (copy, placement) in COPIES.into_iter().enumerate() {
            // The route that comes first gets other memory, and finds the caches otherwise: each has its turn.
            let mut order: Vec<usize> = (0..self.rows.len()).collect();
            if copy % 2 == 1 {
                order.reverse();
            }
            let times = placement.of(|| self.times_in(&order, &effort))?;
            for (route, time) in order.iter().zip(times) {
                of_copies[*route].push(time);
            }
        }
        let mean = |times: &Vec<f64>| geometric_mean(times.iter().copied()).unwrap_or(f64::NAN);
        let of_route: Vec<f64> = of_copies.iter().map(mean).collect();
        Ok(self.route_of.iter().map(|&route| of_route[route]).collect())
    }

    /// The time by each route, in this order of them, on operands of their own.
    fn times_in(&self, order: &[usize], effort: &Effort) -> anyhow::Result<Vec<f64>> {
        let Work { shape, call, weights, threads } = self.work;
        let work = Workload::new(shape);
        let ours: Vec<Fused> = order.iter().map(|&route| Fused::by_row(self.rows[route], weights)).collect();
        let present = order.iter().position(|&route| route == 0).unwrap_or(0);
        let (mut subjects, mut first) = (Vec::new(), None::<Vec<Quantity>>);
        for (place, ours) in ours.iter().enumerate() {
            let mut routine = call.routine(ours, &work, threads)?;
            routine.run()?;
            let found = routine.results()?;
            let is_right = first.as_ref().is_none_or(|expected| are_equal(expected, &found));
            ensure!(is_right, "{shape} {call}: {} has other bits", self.rows[order[place]].name());
            first.get_or_insert(found);
            let timed = vec![Timed::calibrate(routine, threads, Place::FirstCore, Caches::Warm)?];
            subjects.push(if place == present { Subject::ours(timed) } else { Subject::peer(timed, present) });
        }
        measure(&mut subjects, effort)?;
        let base = subjects[present].nanoseconds();
        let time = |place: usize| if place == present { base } else { base * ratio(&subjects, place, present).median };
        Ok((0..subjects.len()).map(time).collect())
    }
}

impl Work {
    /// The plan of a call that updates nothing by a row, in words that differ where routes do.
    fn plan(&self, row: &'static Tuning) -> anyhow::Result<String> {
        let Shape { batch, inputs, outputs } = self.shape;
        let layer = Dense::new(inputs, outputs, Activation::Sigmoid).with_isa(row.isa()).with_tuning(row);
        let plan = match self.weights {
            Weights::Plain => layer.describe(batch)?,
            Weights::Packed => layer.describe_with(batch, &layer.pack(&vec![0.0; inputs * outputs])?)?,
        };
        Ok(match self.call {
            Call::Forward => format!("{:?}", plan.forward),
            Call::Backward => format!("{:?} {:?}", plan.d_w, plan.d_a_prev),
            Call::Descent | Call::Adam => bail!("no plan in words tells of an update"),
        })
    }
}

impl Fused {
    /// Our layers by this row.
    fn by_row(row: &'static Tuning, weights: Weights) -> Self {
        Self { isa: row.isa(), sharing: Sharing::Team, weights, tuning: Some(row) }
    }
}

fn are_equal(a: &[Quantity], b: &[Quantity]) -> bool {
    let bits = |quantity: &Quantity| quantity.values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.name == b.name && bits(a) == bits(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(number: &str, value: &str) -> &'static Tuning {
        let rows = Tuning::all();
        let portable = rows.iter().find(|row| row.name() == "portable").unwrap();
        Box::leak(Box::new(portable.with_number(number, value).unwrap()))
    }

    #[test]
    fn rows_with_one_plan_are_one_route() {
        let values = ["8", "24", "32", "max"].map(|value| row("copy_min_rows", value));
        let work = |shape| Work { shape, call: Call::Backward, weights: Weights::Plain, threads: 1 };
        let comparison = Comparison::new(work(Shape::new(28, 1024, 12)), &values, 1, true).unwrap();
        assert!(comparison.has_routes());
        // Neither gradient has so many rows as 32.
        let routes = &comparison.route_of;
        assert!(routes[1] == 0 && routes[2] == routes[3] && routes[2] != 0, "{routes:?}");
        let times = comparison.times(Duration::ZERO, 1).unwrap();
        assert!(times[2] == times[3] && times.iter().all(|time| *time > 0.0), "{times:?}");
        let same = Comparison::new(work(Shape::new(4, 7, 6)), &values, 1, true).unwrap();
        assert!(!same.has_routes());
        assert!(Comparison::new(work(Shape::new(4, 7, 6)), &values, 1, false).unwrap().has_routes());
    }
}
