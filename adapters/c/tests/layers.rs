//! Layers through the interface of C: their bits are those of `Dense`, in any layout. Small, so that Miri can look too.

use fused_dense::{Activation, Adam, Dense, Gradients, MatrixView, Outputs, Parameter, Saved, Sgd, Update, Upstream};
use fused_dense_c::*;
use std::ffi::CStr;
use std::ptr::{null, null_mut};

const BATCH: usize = 3;
const INPUTS: usize = 5;
const OUTPUTS: usize = 4;

fn last_error() -> &'static str {
    // SAFETY: the text is valid until this thread's next call.
    unsafe { CStr::from_ptr(fd_last_error()) }.to_str().expect("UTF-8")
}

#[track_caller]
fn works(status: fd_status) {
    assert_eq!(status, fd_status::FD_OK, "{}", last_error());
}

/// Numbers between -1 and 1.
fn numbers(count: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..count).map(|_| next()).collect()
}

fn rows(data: &[f32], rows: usize) -> fd_matrix {
    let cols = data.len() / rows;
    fd_matrix { data: data.as_ptr(), rows, cols, row_stride: cols, col_stride: 1 }
}

fn rows_mut(data: &mut [f32], rows: usize) -> fd_matrix_mut {
    let cols = data.len() / rows;
    fd_matrix_mut { data: data.as_mut_ptr(), rows, cols, row_stride: cols, col_stride: 1 }
}

fn code(activation: Activation) -> i32 {
    Activation::all().iter().position(|known| *known == activation).expect("known") as i32
}

/// A layer of C, freed at the end.
struct Layer(*mut fd_dense);

// SAFETY: any number of threads may call a layer at once.
unsafe impl Sync for Layer {}

impl Layer {
    fn new(activation: Activation) -> Self {
        let options = fd_dense_options {
            size: size_of::<fd_dense_options>(),
            inputs: INPUTS,
            outputs: OUTPUTS,
            activation: code(activation),
            isa: fd_isa::Best as i32,
            summation: fd_summation::Auto as i32,
            parameter: null(),
            activation_name: null(),
            team: null(),
        };
        let mut layer = null_mut();
        // SAFETY: both are this function's own.
        works(unsafe { fd_dense_new(&options, &mut layer) });
        Self(layer)
    }
}

impl Drop for Layer {
    fn drop(&mut self) {
        // SAFETY: made in `new`, and not used again.
        unsafe { fd_dense_free(self.0) };
    }
}

/// The operands of a layer, and what `Dense` makes of them.
struct Case {
    dense: Dense,
    x: Vec<f32>,
    w: Vec<f32>,
    b: Vec<f32>,
    a: Vec<f32>,
    z: Vec<f32>,
    d_a: Vec<f32>,
}

impl Case {
    fn new(activation: Activation) -> Self {
        let mut dense = Dense::new(INPUTS, OUTPUTS, activation);
        let (x, w, b) = (numbers(BATCH * INPUTS, 1), numbers(OUTPUTS * INPUTS, 2), numbers(OUTPUTS, 3));
        let (mut a, mut z) = (vec![0.0; BATCH * OUTPUTS], vec![0.0; BATCH * OUTPUTS]);
        dense.forward(&x, &w, &b, Outputs::new(&mut a).z(&mut z)).expect("a pass");
        Self { dense, x, w, b, a, z, d_a: numbers(BATCH * OUTPUTS, 4) }
    }
}

fn call() -> fd_backward {
    fd_backward {
        size: size_of::<fd_backward>(),
        a_prev: null(),
        w: null(),
        packed: null(),
        saved_a: null(),
        saved_z: null(),
        from_d_a: null(),
        from_d_z: null(),
        from_targets: null(),
        d_w: null(),
        d_b: null(),
        d_a_prev: null(),
        d_z: null(),
        add: 0,
        scale: 1.0,
    }
}

#[test]
fn forward_has_the_bits_of_dense() {
    for &activation in Activation::all() {
        let (layer, case) = (Layer::new(activation), Case::new(activation));
        let (mut a, mut z) = (vec![f32::NAN; BATCH * OUTPUTS], vec![f32::NAN; BATCH * OUTPUTS]);
        let (x, w, b) = (rows(&case.x, BATCH), rows(&case.w, OUTPUTS), rows(&case.b, 1));
        let (to_a, to_z) = (rows_mut(&mut a, BATCH), rows_mut(&mut z, BATCH));
        // SAFETY: all operands are this function's own.
        works(unsafe { fd_dense_forward(layer.0, &x, &w, &b, &to_a, &to_z) });
        assert_eq!((&a, &z), (&case.a, &case.z), "{activation}");

        let (mut packed, mut a) = (null_mut(), vec![f32::NAN; BATCH * OUTPUTS]);
        let to_a = rows_mut(&mut a, BATCH);
        // SAFETY: as above.
        unsafe {
            works(fd_packed_new(layer.0, &w, &mut packed));
            works(fd_dense_forward_packed(layer.0, &x, packed, &b, &to_a, null()));
            fd_packed_free(packed);
        }
        assert_eq!(a, case.a, "{activation}, packed");
    }
}

/// Every operand is a part of one allocation, column by column beside each other: a, then z, then the input.
#[test]
fn matrices_may_lie_interleaved() {
    let (layer, case) = (Layer::new(Activation::Tanh), Case::new(Activation::Tanh));
    let width = 2 * OUTPUTS + INPUTS;
    let mut all = vec![f32::NAN; BATCH * width];
    for (row, x) in all.chunks_exact_mut(width).zip(case.x.chunks_exact(INPUTS)) {
        row[2 * OUTPUTS..].copy_from_slice(x);
    }
    let first = all.as_mut_ptr();
    let at = |column| first.wrapping_add(column);
    let x = fd_matrix { data: at(2 * OUTPUTS), rows: BATCH, cols: INPUTS, row_stride: width, col_stride: 1 };
    let a = fd_matrix_mut { data: first, rows: BATCH, cols: OUTPUTS, row_stride: width, col_stride: 1 };
    let z = fd_matrix_mut { data: at(OUTPUTS), ..a };
    let (w, b) = (rows(&case.w, OUTPUTS), rows(&case.b, 1));
    // SAFETY: all operands are this function's own.
    works(unsafe { fd_dense_forward(layer.0, &x, &w, &b, &a, &z) });
    for (i, row) in all.chunks_exact(width).enumerate() {
        assert_eq!(row[..OUTPUTS], case.a[i * OUTPUTS..][..OUTPUTS]);
        assert_eq!(row[OUTPUTS..2 * OUTPUTS], case.z[i * OUTPUTS..][..OUTPUTS]);
    }
    let over = fd_matrix_mut { data: at(OUTPUTS - 1), ..a };
    // SAFETY: as above.
    let status = unsafe { fd_dense_forward(layer.0, &x, &w, &b, &a, &over) };
    assert_eq!(status, fd_status::FD_ERROR_OVERLAP);
}

#[test]
fn backward_has_the_bits_of_dense() {
    for &activation in Activation::all() {
        for (from, from_z) in [(0, true), (0, false), (1, false), (2, true), (2, false)] {
            let needs_z = activation.needs_z() && from == 0;
            if needs_z && !from_z || from == 2 && activation != Activation::Sigmoid {
                continue;
            }
            backward(activation, from, from_z);
        }
    }
}

/// All gradients, added to and overwritten, from `dA`, `dz` or targets (0, 1, 2), with the saved `z` or `a`.
fn backward(activation: Activation, from: usize, from_z: bool) {
    let (layer, mut case) = (Layer::new(activation), Case::new(activation));
    let targets: Vec<f32> = case.d_a.iter().map(|d_a| f32::from(*d_a > 0.0)).collect();
    let given = if from == 2 { &targets } else { &case.d_a };
    for add in 0..8 {
        let before = [OUTPUTS * INPUTS, OUTPUTS, BATCH * INPUTS, BATCH * OUTPUTS].map(|len| numbers(len, 9));
        let (mut expected, mut found) = (before.clone(), before);
        let [d_w, d_b, d_a_prev, d_z] = &mut expected;
        let gradients = Gradients::new().z(d_z).scale(0.25);
        let gradients = if add & FD_ADD_TO_D_W != 0 { gradients.add_to_w(d_w) } else { gradients.w(d_w) };
        let gradients = if add & FD_ADD_TO_D_B != 0 { gradients.add_to_b(d_b) } else { gradients.b(d_b) };
        let adds = add & FD_ADD_TO_D_A_PREV != 0;
        let gradients = if adds { gradients.add_to_a_prev(d_a_prev) } else { gradients.a_prev(d_a_prev) };
        let saved = if from_z { Saved::z(&case.z) } else { Saved::from(&case.a) };
        let upstream = [Upstream::Activation, Upstream::PreActivation, Upstream::Targets][from](given);
        case.dense.backward(&case.x, &case.w, saved, upstream, gradients).expect("a pass");

        let (x, w) = (rows(&case.x, BATCH), rows(&case.w, OUTPUTS));
        let (saved_a, saved_z, given) = (rows(&case.a, BATCH), rows(&case.z, BATCH), rows(given, BATCH));
        let [d_w, d_b, d_a_prev, d_z] = &mut found;
        let (d_w, d_b) = (rows_mut(d_w, OUTPUTS), rows_mut(d_b, 1));
        let (d_a_prev, d_z) = (rows_mut(d_a_prev, BATCH), rows_mut(d_z, BATCH));
        let pick = |is: bool| if is { &raw const given } else { null() };
        let call = fd_backward {
            a_prev: &x,
            w: &w,
            saved_a: if from_z { null() } else { &saved_a },
            saved_z: if from_z { &saved_z } else { null() },
            from_d_a: pick(from == 0),
            from_d_z: pick(from == 1),
            from_targets: pick(from == 2),
            d_w: &d_w,
            d_b: &d_b,
            d_a_prev: &d_a_prev,
            d_z: &d_z,
            add,
            scale: 0.25,
            ..call()
        };
        // SAFETY: all operands are this function's own.
        works(unsafe { fd_dense_backward(layer.0, &call) });
        assert_eq!(found, expected, "{activation}, {from}, {from_z}, {add}");
    }
}

#[test]
fn gradients_that_are_not_wanted_are_left_out() {
    let (layer, case) = (Layer::new(Activation::Sigmoid), Case::new(Activation::Sigmoid));
    let (x, w, a, d_a) = (rows(&case.x, BATCH), rows(&case.w, OUTPUTS), rows(&case.a, BATCH), rows(&case.d_a, BATCH));
    let mut all = vec![f32::NAN; OUTPUTS];
    let given = fd_backward { a_prev: &x, w: &w, saved_a: &a, from_d_a: &d_a, ..call() };
    // SAFETY: all operands are this function's own.
    unsafe {
        works(fd_dense_backward(layer.0, &given));
        let d_b = rows_mut(&mut all, 1);
        works(fd_dense_backward(layer.0, &fd_backward { d_b: &d_b, ..given }));
    }
    assert!(all.iter().all(|value| value.is_finite()));
}

#[test]
fn updates_have_the_bits_of_dense() {
    let sgd =
        fd_sgd { size: size_of::<fd_sgd>(), learning_rate: 0.1, momentum: 0.0, weight_decay: 0.01, is_nesterov: 0 };
    let momentum = fd_sgd { momentum: 0.5, is_nesterov: 1, ..sgd };
    let adam = fd_adam {
        size: size_of::<fd_adam>(),
        learning_rate: 0.1,
        beta1: 0.5,
        beta2: 0.75,
        epsilon: 1e-4,
        weight_decay: 0.01,
        is_decoupled: 1,
    };
    let adam_of_core = Adam::new(0.1).betas(0.5, 0.75).epsilon(1e-4).decoupled_weight_decay(0.01);
    update(0, (&sgd, null()), Sgd::new(0.1).weight_decay(0.01).into());
    update(1, (&momentum, null()), Sgd::new(0.1).momentum(0.5).nesterov().weight_decay(0.01).into());
    update(2, (null(), &adam), adam_of_core.into());
}

/// Two steps with so many arrays of state.
fn update(arrays: usize, (sgd, adam): (*const fd_sgd, *const fd_adam), optimizer: fused_dense::Optimizer) {
    let (layer, mut case) = (Layer::new(Activation::Relu), Case::new(Activation::Relu));
    let lens = [OUTPUTS * INPUTS, OUTPUTS];
    let values = [case.w.clone(), case.b.clone()];
    let state = [0, 1].map(|_| lens.map(|len| vec![0.0; len]));
    let (mut expected, mut found) = ((values.clone(), state.clone()), (values, state));
    let (mut d_x, mut d_x_of_c) = (vec![0.0; BATCH * INPUTS], vec![0.0; BATCH * INPUTS]);
    for step in 1..=2 {
        let ([w, b], state) = &mut expected;
        let (mut w, mut b) = (Parameter::new(w), Parameter::new(b));
        for [of_w, of_b] in state.iter_mut().take(arrays) {
            (w, b) = (w.state(of_w), b.state(of_b));
        }
        let update = Update::new(optimizer).step(step).b(b).add_to_a_prev(&mut d_x).scale(0.5);
        case.dense.backward_update(&case.x, w, &case.a, Upstream::Activation(&case.d_a), update).expect("a step");

        let (x, a, d_a) = (rows(&case.x, BATCH), rows(&case.a, BATCH), rows(&case.d_a, BATCH));
        let ([w, b], state) = &mut found;
        let (w, b, d_x) = (rows_mut(w, OUTPUTS), rows_mut(b, 1), rows_mut(&mut d_x_of_c, BATCH));
        let mut given = state.iter_mut().map(|[of_w, of_b]| (rows_mut(of_w, OUTPUTS), rows_mut(of_b, 1)));
        let given = [given.next().expect("two"), given.next().expect("two")];
        let of = |index: usize, of_w: bool| match (index < arrays, of_w) {
            (false, _) => null(),
            (true, true) => &raw const given[index].0,
            (true, false) => &raw const given[index].1,
        };
        let call = fd_update {
            size: size_of::<fd_update>(),
            a_prev: &x,
            w: &w,
            w_state: [of(0, true), of(1, true)],
            b: &b,
            b_state: [of(0, false), of(1, false)],
            saved_a: &a,
            saved_z: null(),
            from_d_a: &d_a,
            from_d_z: null(),
            from_targets: null(),
            d_a_prev: &d_x,
            d_z: null(),
            partial_sums: null(),
            sgd,
            adam,
            step,
            add: FD_ADD_TO_D_A_PREV,
            scale: 0.5,
        };
        // SAFETY: all operands are this function's own.
        works(unsafe { fd_dense_update(layer.0, &call) });
    }
    assert_eq!((found, d_x_of_c), (expected, d_x), "{optimizer}");
}

#[test]
fn threads_share_a_layer() {
    let (layer, case) = (Layer::new(Activation::Silu), Case::new(Activation::Silu));
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                let layer = &layer;
                let (x, w, b) = (rows(&case.x, BATCH), rows(&case.w, OUTPUTS), rows(&case.b, 1));
                let mut a = vec![f32::NAN; BATCH * OUTPUTS];
                let to = rows_mut(&mut a, BATCH);
                // SAFETY: the inputs are only read, and the output is this thread's own.
                works(unsafe { fd_dense_forward(layer.0, &x, &w, &b, &to, null()) });
                assert_eq!(a, case.a);
            });
        }
    });
}

/// Rows that all are the same one, and no samples at all.
#[test]
fn strides_of_zero_and_empty_matrices() {
    let (layer, case) = (Layer::new(Activation::Identity), Case::new(Activation::Identity));
    let repeated = fd_matrix { data: case.x.as_ptr(), rows: BATCH, cols: INPUTS, row_stride: 0, col_stride: 1 };
    let (w, none) = (rows(&case.w, OUTPUTS), fd_matrix { data: null(), rows: 0, ..repeated });
    let (mut a, mut expected) = (vec![f32::NAN; BATCH * OUTPUTS], vec![0.0; BATCH * OUTPUTS]);
    let (to_a, to_none) = (rows_mut(&mut a, BATCH), rows_mut(&mut [], 1));
    // SAFETY: all operands are this function's own.
    unsafe {
        works(fd_dense_forward(layer.0, &repeated, &w, null(), &to_a, null()));
        let to_none = fd_matrix_mut { rows: 0, cols: OUTPUTS, data: null_mut(), ..to_none };
        works(fd_dense_forward(layer.0, &none, &w, null(), &to_none, null()));
    }
    let x = MatrixView::new(&case.x, BATCH, INPUTS, 0, 1).expect("a view");
    let mut dense = Dense::new(INPUTS, OUTPUTS, Activation::Identity);
    dense.forward(x, &case.w, fused_dense::Bias::None, &mut expected).expect("a pass");
    assert_eq!(a, expected);
}
