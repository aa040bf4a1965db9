//! Arguments whose conversion to an operand panics.

use crate::{BATCH, INPUTS, OUTPUTS, layer};
use fused_dense::{Dense, Error, Gradients, Input, Output, Update, Upstream};

/// An argument whose conversion panics.
struct Panics;

impl From<Panics> for Input<'_> {
    fn from(_: Panics) -> Self {
        panic!("as it was told to");
    }
}

impl From<Panics> for Output<'_> {
    fn from(_: Panics) -> Self {
        panic!("as it was told to");
    }
}

/// A panic of the caller's own, on the way into a call, leaves the layer as it was.
#[test]
fn a_conversion_that_panics_leaves_the_workspace() {
    let (x, w, b, y) = ([0.5; BATCH * INPUTS], [0.5; OUTPUTS * INPUTS], [0.5; OUTPUTS], [0.5; BATCH * OUTPUTS]);
    let mut layer = layer();
    let above = || Upstream::Targets(&y);
    type Call<'c> = &'c dyn Fn(&mut Dense) -> Result<(), Error>;
    let calls: [Call<'_>; 10] = [
        &|layer| layer.forward(Panics, &w, &b, &mut [0.0; BATCH * OUTPUTS]),
        &|layer| layer.forward(&x, Panics, &b, &mut [0.0; BATCH * OUTPUTS]),
        &|layer| layer.forward(&x, &w, Panics, &mut [0.0; BATCH * OUTPUTS]),
        &|layer| layer.forward(&x, &w, &b, Panics),
        &|layer| layer.backward(Panics, &w, &y, above(), Gradients::new()),
        &|layer| layer.backward(&x, &w, Panics, above(), Gradients::new()),
        &|layer| layer.backward(&x, &w, &y, Upstream::Targets(Panics), Gradients::new()),
        &|layer| layer.backward_update(Panics, &mut w.clone(), &y, above(), Update::new(0.1)),
        &|layer| layer.backward_update(&x, Panics, &y, above(), Update::new(0.1)),
        &|layer| layer.backward_update(&x, &mut w.clone(), &y, Upstream::Targets(Panics), Update::new(0.1)),
    ];
    for (index, call) in calls.iter().enumerate() {
        let panicked = std::panic::catch_unwind(core::panic::AssertUnwindSafe(|| call(&mut layer)));
        assert!(panicked.is_err(), "call {index}");
        assert_eq!(layer.forward(&x, &w, &b, &mut [0.0; BATCH * OUTPUTS]), Ok(()), "after call {index}");
    }
}
