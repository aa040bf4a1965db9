//! Networks through the interface of C: their bits are those of `Network`. Small, so that Miri can look too.

use fused_dense::{Activation, Adam, Cost, Network, Targets};
use fused_dense_c::*;
use std::ffi::{CStr, c_void};
use std::ptr::{null, null_mut};

const X: [f32; 8] = [0.0, 0.0, 0.0, 1.0, 1.0, 0.0, 1.0, 1.0];
const LABELS: [u8; 4] = [0, 1, 1, 0];
const WEIGHTS: [f32; 4] = [1.0, 2.0, 0.5, 1.0];

#[track_caller]
fn works(status: fd_status) {
    // SAFETY: the text is valid until this thread's next call.
    let text = unsafe { CStr::from_ptr(fd_last_error()) };
    assert_eq!(status, fd_status::FD_OK, "{text:?}");
}

fn x() -> fd_matrix {
    fd_matrix { data: X.as_ptr(), rows: 4, cols: 2, row_stride: 2, col_stride: 1 }
}

fn targets() -> fd_targets {
    fd_targets {
        size: size_of::<fd_targets>(),
        values: null(),
        value_count: 0,
        classes: LABELS.as_ptr().cast(),
        class_count: 4,
        class_type: fd_class_type::U8 as i32,
        sample_weights: WEIGHTS.as_ptr(),
        sample_weight_count: 4,
    }
}

fn network_of_core() -> Network {
    Network::builder(2)
        .layer(3, Activation::Tanh)
        .layer(2, Activation::Identity)
        .cost(Cost::SoftmaxCrossEntropy)
        .class_weights([1.0, 0.5])
        .optimizer(Adam::new(0.05))
        .seed(3)
        .build()
        .expect("a network")
}

/// A network of C like that of the core, freed at the end.
struct Owned(*mut fd_network);

// SAFETY: any number of threads may look at a network at once.
unsafe impl Sync for Owned {}

impl Owned {
    fn new() -> Self {
        let layer = |outputs, activation: fd_activation| fd_layer {
            outputs,
            activation: activation as i32,
            parameter: null(),
            activation_name: null(),
            dense: null(),
        };
        let layers = [layer(3, fd_activation::Tanh), layer(2, fd_activation::Identity)];
        let adam = fd_adam {
            size: size_of::<fd_adam>(),
            learning_rate: 0.05,
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-8,
            weight_decay: 0.0,
            is_decoupled: 0,
        };
        let class_weights = [1.0, 0.5];
        let options = fd_network_options {
            size: size_of::<fd_network_options>(),
            inputs: 2,
            layers: layers.as_ptr(),
            layer_count: 2,
            layer_size: size_of::<fd_layer>(),
            cost: fd_cost::SoftmaxCrossEntropy as i32,
            isa: 0,
            summation: 0,
            is_unguarded: 0,
            team: null(),
            sgd: null(),
            adam: &adam,
            class_weights: class_weights.as_ptr(),
            class_weight_count: 2,
            positive_weight: null(),
            init: null(),
            seed: 3,
            max_batch: 0,
        };
        let mut network = null_mut();
        // SAFETY: all operands are this function's own.
        works(unsafe { fd_network_new(&options, &mut network) });
        Self(network)
    }

    fn array(&self, layer: usize, array: fd_array, len: usize) -> Vec<f32> {
        let mut values = vec![f32::NAN; len];
        // SAFETY: the place is as long as it is said to be.
        works(unsafe { fd_network_get_array(self.0, layer, array as i32, values.as_mut_ptr(), len) });
        values
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        // SAFETY: made in `new`, and not used again.
        unsafe { fd_network_free(self.0) };
    }
}

/// Exponentials and logarithms in costs are the platform's; Miri rounds them another way each time.
#[track_caller]
fn same_cost(found: f64, expected: f64) {
    let tolerance = if cfg!(miri) { 1e-12 } else { 0.0 };
    assert!((found - expected).abs() <= tolerance, "{found} {expected}");
}

#[track_caller]
fn same(network: &Owned, expected: &Network) {
    for (index, layer) in expected.layers().iter().enumerate() {
        assert_eq!(network.array(index, fd_array::W, layer.w().len()), layer.w());
        assert_eq!(network.array(index, fd_array::B, layer.b().len()), layer.b());
        for (state, [w, b]) in layer.optimizer_state().enumerate() {
            let of_w = [fd_array::W_STATE_0, fd_array::W_STATE_1][state];
            let of_b = [fd_array::B_STATE_0, fd_array::B_STATE_1][state];
            assert_eq!(
                (network.array(index, of_w, w.len()), network.array(index, of_b, b.len())),
                (w.to_vec(), b.to_vec())
            );
        }
    }
}

#[test]
fn training_has_the_bits_of_network() {
    let (network, mut expected) = (Owned::new(), network_of_core());
    let (x, targets) = (x(), targets());
    let of_core = || Targets::classes(&LABELS).sample_weights(&WEIGHTS);
    let mut cost = 0.0;
    for _ in 0..3 {
        // SAFETY: all operands are this function's own.
        works(unsafe { fd_network_step(network.0, &x, &targets, &mut cost) });
        same_cost(cost, expected.step(&X, of_core()).expect("a step"));
    }
    same(&network, &expected);

    let mut norm = 0.0;
    // SAFETY: as above.
    unsafe {
        works(fd_network_gradients(network.0, &x, &targets, &mut cost));
        works(fd_network_accumulate(network.0, &x, &targets, 9.0, null_mut()));
        works(fd_network_clip_gradients(network.0, 0.125, &mut norm));
    }
    same_cost(cost, expected.gradients(&X, of_core()).expect("gradients"));
    expected.accumulate(&X, of_core(), 9.0).expect("gradients");
    assert_eq!(norm, expected.clip_gradients(0.125).expect("a norm"));
    assert_eq!(network.array(0, fd_array::D_W, 6), expected.layers()[0].d_w());
    assert_eq!(network.array(1, fd_array::D_B, 2), expected.layers()[1].d_b());
    // SAFETY: as above.
    works(unsafe { fd_network_apply_gradients(network.0) });
    expected.apply_gradients().expect("a step");
    same(&network, &expected);
}

#[test]
fn inference_has_the_bits_of_network() {
    let (network, expected) = (Owned::new(), network_of_core());
    let (x, targets) = (x(), targets());
    let (mut a, mut p, mut classes) = ([0.0; 8], [0.0; 8], [9; 4]);
    let mut evaluation = fd_evaluation { size: size_of::<fd_evaluation>(), cost: 0.0, accuracy: 0.0, has_accuracy: 0 };
    // SAFETY: all operands are this function's own.
    unsafe {
        works(fd_network_predict(network.0, &x, a.as_mut_ptr(), 8));
        works(fd_network_predict_probabilities(network.0, &x, p.as_mut_ptr(), 8));
        works(fd_network_predict_classes(network.0, &x, classes.as_mut_ptr(), 4));
        works(fd_network_evaluate(network.0, &x, &targets, &mut evaluation));
    }
    let (mut of_a, mut of_p, mut of_classes) = ([0.0; 8], [0.0; 8], [0; 4]);
    expected.predict(&X, &mut of_a).expect("a pass");
    expected.predict_probabilities(&X, &mut of_p).expect("a pass");
    expected.predict_classes(&X, &mut of_classes).expect("a pass");
    let found = expected.evaluate(&X, Targets::classes(&LABELS).sample_weights(&WEIGHTS)).expect("a pass");
    assert_eq!((a, p, classes), (of_a, of_p, of_classes));
    assert_eq!(Some(evaluation.accuracy), found.accuracy);
    same_cost(evaluation.cost, found.cost);
}

#[test]
fn a_copy_goes_its_own_way() {
    let (network, mut copy) = (Owned::new(), null_mut());
    let (x, targets, before) = (x(), targets(), network.array(0, fd_array::W, 6));
    // SAFETY: all operands are this function's own.
    let copy = unsafe {
        works(fd_network_clone(network.0, &mut copy));
        works(fd_network_step(network.0, &x, &targets, null_mut()));
        Owned(copy)
    };
    assert_eq!(copy.array(0, fd_array::W, 6), before);
    assert_ne!(network.array(0, fd_array::W, 6), before);
    let changed = vec![0.5; 6];
    // SAFETY: as above.
    works(unsafe { fd_network_set_array(copy.0, 0, fd_array::W as i32, changed.as_ptr(), 6) });
    assert_eq!(copy.array(0, fd_array::W, 6), changed);
}

/// Half the squared distance of each output to 1, as a mean over the batch; counts its calls in `user`.
unsafe extern "C" fn distance(
    user: *mut c_void,
    output: *const f32,
    gradient: *mut f32,
    batch: usize,
    outputs: usize,
) -> f64 {
    // SAFETY: the library calls it with arrays of so many elements, and with what the test gave it.
    let (output, gradient, calls) = unsafe {
        let len = batch * outputs;
        let output = std::slice::from_raw_parts(output, len);
        (output, std::slice::from_raw_parts_mut(gradient, len), &mut *user.cast::<u32>())
    };
    *calls += 1;
    descend(output, gradient)
}

fn descend(output: &[f32], gradient: &mut [f32]) -> f64 {
    let mut sum = 0.0;
    for (gradient, output) in gradient.iter_mut().zip(output) {
        *gradient = (output - 1.0) / 4.0;
        sum += f64::from(output - 1.0) * f64::from(output - 1.0) / 8.0;
    }
    sum
}

#[test]
fn own_costs_are_called() {
    let (network, mut expected) = (Owned::new(), network_of_core());
    let (x, mut calls, mut cost) = (x(), 0_u32, 0.0);
    let user = (&raw mut calls).cast();
    for by in [fd_own_cost::ByA, fd_own_cost::ByZ] {
        // SAFETY: all operands are this function's own.
        works(unsafe { fd_network_step_own(network.0, &x, by as i32, Some(distance), user, &mut cost) });
        let found = match by {
            fd_own_cost::ByA => expected.step_with_d_a(&X, descend),
            fd_own_cost::ByZ => expected.step_with_d_z(&X, descend),
        };
        assert_eq!(cost, found.expect("a step"));
    }
    // SAFETY: as above.
    unsafe {
        let by = fd_own_cost::ByA as i32;
        works(fd_network_gradients_own(network.0, &x, by, Some(distance), user, null_mut()));
        works(fd_network_apply_gradients(network.0));
    }
    expected.gradients_with_d_a(&X, descend).expect("gradients");
    expected.apply_gradients().expect("a step");
    same(&network, &expected);
    assert_eq!(calls, 3);
}

/// Gradients are none after a step, and stay where nothing was a step.
#[test]
fn gradients_are_known_to_be_there() {
    let network = Owned::new();
    let (x, targets) = (x(), targets());
    let none = fd_matrix { rows: 0, ..x };
    let no_targets = fd_targets { class_count: 0, sample_weights: null(), sample_weight_count: 0, ..targets };
    let has_gradients = || {
        let mut info = fd_network_info {
            size: size_of::<fd_network_info>(),
            inputs: 0,
            outputs: 0,
            layer_count: 0,
            max_batch: 0,
            parameter_count: 0,
            state_arrays: 0,
            steps: 0,
            learning_rate: 0.0,
            cost: 0,
            has_gradients: 9,
        };
        // SAFETY: the place is this function's own.
        works(unsafe { fd_network_get_info(network.0, &mut info) });
        assert_eq!((info.inputs, info.outputs, info.layer_count, info.parameter_count), (2, 2, 2, 17));
        info.has_gradients
    };
    assert_eq!(has_gradients(), 0);
    // SAFETY: all operands are this function's own.
    unsafe {
        works(fd_network_gradients(network.0, &x, &targets, null_mut()));
        assert_eq!(has_gradients(), 1);
        works(fd_network_step(network.0, &none, &no_targets, null_mut()));
        assert_eq!(has_gradients(), 1, "an empty batch is no step");
        works(fd_network_step(network.0, &x, &targets, null_mut()));
    }
    assert_eq!(has_gradients(), 0);
}

#[test]
fn threads_share_a_network() {
    let network = Owned::new();
    let mut expected = [0.0; 8];
    let x = x();
    // SAFETY: all operands are this function's own.
    works(unsafe { fd_network_predict(network.0, &x, expected.as_mut_ptr(), 8) });
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                let network = &network;
                let (x, mut a) = (self::x(), [0.0; 8]);
                // SAFETY: the input is only read, and the output is this thread's own.
                works(unsafe { fd_network_predict(network.0, &x, a.as_mut_ptr(), 8) });
                assert_eq!(a, expected);
            });
        }
    });
}
