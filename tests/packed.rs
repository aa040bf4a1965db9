//! Packed weights: the bits of the plain weights that they were packed from.

#![cfg(not(miri))]

mod support;

use fused_dense::{Activation, Bias, Dense, Error, Gradients, Isa, MatrixView, Operand, Summation, Upstream, Weights};
use support::compare::assert_bits;
use support::isas;
use support::options::{BackwardOptions, ForwardOptions};
use support::problem::Problem;
use support::stored::{CANARY, Layout, Placement, is_canary};
use support::sweep::sweep;
use support::{edges, values};

/// Checks every shape `(batch, inputs, outputs)` with weights in this layout.
fn check(layout: Layout, shapes: impl Iterator<Item = (usize, usize, usize)> + Clone) {
    sweep(shapes, |problem, forward, backward| {
        let layout = |operand| if operand == Operand::W { layout } else { Layout::Slice };
        problem.with_packed_weights().check(forward, backward, &Placement::views(&layout));
    });
}

const TRANSPOSED: Layout = Layout::Columns { step: 1, gap: 0 };

#[test]
fn every_remainder_of_outputs_and_inputs() {
    for layout in [Layout::Slice, TRANSPOSED] {
        check(layout, (1..=140).flat_map(|width| [(1, 3, width), (19, 5, width), (18, width, 3), (3, width, 18)]));
    }
}

#[test]
fn edges_of_the_batch() {
    check(Layout::Slice, edges().flat_map(|batch| [(batch, 3, 19), (batch, 33, 2)]));
    check(TRANSPOSED, edges().flat_map(|batch| [(batch, 19, 3), (batch, 2, 33)]));
}

#[test]
fn several_blocks_and_panels() {
    let shapes = [(300, 270, 70), (70, 520, 300), (515, 20, 260), (257, 257, 257), (20, 1000, 130), (1100, 40, 17)];
    check(Layout::Slice, shapes.into_iter());
    check(TRANSPOSED, shapes.into_iter());
}

#[test]
fn weights_of_any_strides() {
    let shapes = [(1, 1, 1), (5, 16, 17), (17, 3, 65), (18, 66, 33), (33, 20, 70)];
    let layouts = [
        Layout::Rows { step: 1, gap: 7 },
        Layout::Rows { step: 3, gap: 1 },
        Layout::Columns { step: 1, gap: 7 },
        Layout::Columns { step: 3, gap: 1 },
    ];
    for layout in layouts {
        check(layout, shapes.into_iter());
    }
}

#[test]
fn outputs_and_inputs_of_any_strides() {
    let layouts = [Layout::Slice, TRANSPOSED, Layout::Rows { step: 1, gap: 3 }, Layout::Columns { step: 2, gap: 1 }];
    for first in 0..layouts.len() {
        sweep([(5, 16, 17), (18, 66, 33), (70, 300, 70), (300, 20, 18)].into_iter(), |problem, forward, backward| {
            let layout = |operand| layouts[(first + operand as usize) % layouts.len()];
            problem.with_packed_weights().check(forward, backward, &Placement::views(&layout));
        });
    }
}

#[test]
fn empty_batches_and_empty_layers() {
    let sizes = [0, 1, 17, 300];
    let shapes = sizes.into_iter().flat_map(move |m| sizes.into_iter().map(move |k| (m, k)));
    let shapes = shapes.flat_map(move |(m, k)| sizes.into_iter().map(move |n| (m, k, n)));
    check(Layout::Slice, shapes.filter(|&(m, k, n)| m * k * n == 0));
}

#[test]
fn every_option_with_every_activation() {
    for isa in isas::all() {
        for activation in Activation::all() {
            let problem = Problem::new(isas::layer(isa, Summation::Chain, 11, 19, *activation), 5);
            for (i, backward) in BackwardOptions::all().enumerate() {
                problem.with_packed_weights().check(&ForwardOptions::ALL[i % 4], &backward, &Placement::PLAIN);
            }
        }
    }
}

/// One packing serves layers of other activations and orders, whatever the layout of the weights packed before.
#[test]
fn one_packing_serves_every_layer_of_its_shape() {
    let (batch, inputs, outputs) = (20, 33, 40);
    let (x, b) = (values(batch * inputs, 1), values(outputs, 2));
    for isa in isas::all() {
        let layer = |summation, activation| isas::layer(isa, summation, inputs, outputs, activation);
        let by_inputs = vec![CANARY; inputs * outputs];
        let by_inputs = MatrixView::row_major(&by_inputs, inputs, outputs).expect("a valid view").transposed();
        let mut packed =
            layer(Summation::Auto, Activation::Identity).pack(by_inputs).expect("weights of the right size");
        assert_eq!((packed.inputs(), packed.outputs(), packed.isa()), (inputs, outputs, isa));
        let len = packed.len();
        assert!(len >= 2 * inputs * outputs && !packed.is_empty(), "{len} elements in two forms");
        for (seed, (summation, activation)) in
            isas::SUMMATIONS.into_iter().flat_map(|s| Activation::all().iter().map(move |g| (s, *g))).enumerate()
        {
            let w = values(outputs * inputs, seed as u64);
            packed.repack(&w).expect("weights of the right size");
            assert_eq!(packed.len(), len);
            let mut layer = layer(summation, activation);
            let (mut plain, mut with_packed) = (vec![0.0; batch * outputs], vec![0.0; batch * outputs]);
            layer.forward(&x, &w, &b, &mut plain).expect("a valid call");
            layer.forward(&x, &packed, &b, &mut with_packed).expect("a valid call");
            assert_bits(format_args!("{activation} in {summation:?} order on {isa}"), &with_packed, &plain);
        }
    }
}

/// Both forms are used: panels where sums along the inputs are chains, rows elsewhere.
#[test]
fn descriptions_tell_packed_weights_apart() {
    for isa in isas::all() {
        let layer = isas::layer(isa, Summation::Auto, 100, 90, Activation::Sigmoid);
        let w = values(100 * 90, 1);
        let packed = layer.pack(&w).expect("weights of the right size");
        let [plain, chain, lanes] =
            [layer.describe_with(64, &w), layer.describe_with(64, &packed), layer.describe_with(1, &packed)]
                .map(|description| description.expect("a plan"));
        assert_eq!(Ok(&plain), layer.describe(64).as_ref());
        assert_eq!(chain.forward.rectangles[0].right, "packed before the call", "{chain}");
        assert_eq!((chain.forward.summation, lanes.forward.summation), (Summation::Chain, Summation::Lanes));
        assert_ne!(plain.forward.rectangles[0].right, chain.forward.rectangles[0].right);
        assert_ne!(lanes.forward.rectangles[0].right, chain.forward.rectangles[0].right);
    }
}

/// The errors of a forward and a backward call for these weights; both must leave their outputs alone.
fn refused(layer: &mut Dense, w: Weights<'_>) -> Error {
    let (inputs, outputs) = (layer.inputs(), layer.outputs());
    let (x, y) = (vec![0.5; inputs], vec![0.5; outputs]);
    let (mut a, mut d_x) = (vec![CANARY; outputs], vec![CANARY; inputs]);
    let forward = layer.forward(&x, w, Bias::None, &mut a);
    let gradients = Gradients::new().a_prev(&mut d_x);
    assert_eq!(layer.backward(&x, w, &y, Upstream::Activation(&y), gradients), forward);
    assert!(a.into_iter().chain(d_x).all(is_canary));
    assert_eq!(layer.describe_with(1, w).err(), forward.clone().err());
    forward.expect_err("weights that do not fit")
}

#[test]
fn weights_packed_for_another_shape() {
    let packed = Dense::new(4, 2, Activation::Tanh).pack(&[0.5; 8]).expect("weights of the right size");
    for (inputs, outputs) in [(2, 4), (8, 1), (4, 3), (5, 2)] {
        let error = refused(&mut Dense::new(inputs, outputs, Activation::Tanh), (&packed).into());
        let (expected, found) = ((outputs, inputs), (2, 4));
        assert_eq!(error, Error::Shape { operand: Operand::W, expected, found });
    }
}

#[test]
fn weights_packed_for_another_instruction_set() {
    let isas = Isa::available();
    for (&of_layer, &of_weights) in isas.iter().flat_map(|a| isas.iter().map(move |b| (a, b))) {
        let layer = |isa| isas::layer(isa, Summation::Auto, 4, 2, Activation::Tanh);
        let packed = layer(of_weights).pack(&[0.5; 8]).expect("weights of the right size");
        if of_layer == of_weights {
            assert!(layer(of_layer).forward(&[0.5; 4], &packed, Bias::None, &mut [0.0; 2]).is_ok());
        } else {
            let error = refused(&mut layer(of_layer), (&packed).into());
            assert_eq!(error, Error::PackedForIsa { expected: of_layer, found: of_weights });
            let text = error.to_string();
            assert!(text.contains(of_layer.name()) && text.contains(of_weights.name()), "{text}");
        }
    }
}

#[test]
fn weights_of_the_wrong_size_are_not_packed() {
    let mut layer = Dense::new(4, 2, Activation::Identity);
    let operand = Operand::W;
    let too_long = Error::Length { operand, expected: 8, found: 9 };
    let data = [0.5; 8];
    let view = MatrixView::row_major(&data, 4, 2).expect("a valid view");
    let turned = Error::Shape { operand, expected: (2, 4), found: (4, 2) };
    assert_eq!(layer.pack(&[0.5; 9]).err(), Some(too_long.clone()));
    assert_eq!(layer.pack(view).err(), Some(turned.clone()));

    let mut packed = layer.pack(&[0.25; 8]).expect("weights of the right size");
    assert_eq!(packed.repack(&[0.5; 9]), Err(too_long));
    assert_eq!(packed.repack(view), Err(turned));
    let mut a = [0.0; 2];
    layer.forward(&[1.0; 4], &packed, Bias::None, &mut a).expect("a valid call");
    assert_eq!(a, [1.0; 2], "the weights packed before");
}

#[test]
fn memory_that_cannot_be_had() {
    let layer = Dense::new(usize::MAX / 64, 1, Activation::Identity);
    let w = MatrixView::new(&[1.0], 1, usize::MAX / 64, 0, 0).expect("a repeated element");
    assert!(layer.pack(w).is_err());
}
