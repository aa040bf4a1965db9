//! Properties of all activations that other modules count on.

use super::Activation;
use crate::layer::Saved;

/// Numbers of every magnitude and both signs, and infinity.
fn arguments() -> Vec<f32> {
    let patterns = (0..=f32::INFINITY.to_bits()).step_by(0x4_2101).chain([f32::INFINITY.to_bits()]);
    patterns.flat_map(|bits| [f32::from_bits(bits), -f32::from_bits(bits)]).collect()
}

#[test]
fn no_derivative_is_steeper_than_the_bound() {
    let z = arguments();
    let with_parameters = [0.0, 0.5, 3.0, 1e10]
        .into_iter()
        .flat_map(|parameter| [Activation::LeakyRelu { slope: parameter }, Activation::Elu { alpha: parameter }]);
    for activation in Activation::all().iter().copied().chain(with_parameters) {
        let (mut a, mut d_z) = (vec![0.0; z.len()], vec![0.0; z.len()]);
        let check = |d_z: &[f32], from: &str| {
            let steepest =
                d_z.iter().fold(0.0_f32, |most, d_z| if d_z.is_nan() { f32::NAN } else { most.max(d_z.abs()) });
            assert!(steepest > 0.24 && steepest <= activation.steepest(), "{activation} from {from}: {steepest}");
        };
        activation.backward(Saved::z(&z), &vec![1.0; z.len()], &mut d_z).unwrap();
        check(&d_z, "z");
        if !activation.needs_z() {
            activation.forward(&z, &mut a).unwrap();
            activation.backward(&a, &vec![1.0; z.len()], &mut d_z).unwrap();
            check(&d_z, "a");
        }
    }
}

#[test]
fn no_value_is_larger_than_the_bound() {
    let z = arguments();
    for activation in Activation::all() {
        let mut a = vec![0.0; z.len()];
        activation.forward(&z, &mut a).unwrap();
        let is_bounded = a.iter().all(|a| a.abs() <= 1.0);
        assert_eq!(activation.largest(), is_bounded.then_some(1.0), "{activation}");
        activation.forward(&[f32::NAN], &mut a[..1]).unwrap();
        assert!(a[0].is_nan(), "{activation} makes a number of NaN");
    }
}
