//! Calls that cannot be: each has an error that says what was expected and what was found, and none panics.

use crate::support::{Numbers, devices, fused};
use burn::module::Param;
use burn::tensor::{DType, Device, Tensor};
use fused_dense_burn::{Activation, Error, FusedKernel, FusedLinear, Operand, fused_linear};

fn layer(device: &Device) -> FusedLinear {
    fused(&Numbers(3).linear(4, 3, true, device), Activation::Relu)
}

fn input(device: &Device) -> Tensor<2> {
    Numbers(5).input([2, 4], device)
}

/// Plain devices, and such that record gradients.
fn all_devices() -> Vec<Device> {
    devices().into_iter().flat_map(|device| [device.clone(), device.autodiff()]).collect()
}

#[test]
fn shapes() {
    for device in all_devices() {
        let shape = |operand, expected: &[usize], found: &[usize]| {
            Err(Error::Shape { operand, expected: expected.to_vec(), found: found.to_vec() })
        };
        let layer = layer(&device);
        let found = layer.try_forward(Tensor::<3>::zeros([2, 4, 5], &device)).map(drop);
        assert_eq!(found, shape(Operand::Input, &[4], &[2, 4, 5]));
        assert_eq!(found.unwrap_err().to_string(), "input: expected shape [.., 4], found [2, 4, 5]");

        let kernel = FusedKernel::new(4, 3, Activation::Relu);
        let zeros = |shape| Tensor::<2>::zeros(shape, &device);
        let found = fused_linear(input(&device), zeros([3, 4]), None, &kernel).map(drop);
        assert_eq!(found, shape(Operand::Weight, &[4, 3], &[3, 4]));
        assert_eq!(found.unwrap_err().to_string(), "weight: expected shape [4, 3], found [3, 4]");

        let found = fused_linear(input(&device), zeros([4, 3]), Some(Tensor::zeros([4], &device)), &kernel).map(drop);
        assert_eq!(found, shape(Operand::Bias, &[3], &[4]));
    }
}

#[test]
fn types_of_elements() {
    for device in all_devices() {
        let kernel = FusedKernel::new(4, 3, Activation::Relu);
        let (x, w, b) = (input(&device), Tensor::<2>::zeros([4, 3], &device), Tensor::<1>::zeros([3], &device));
        let dtype = |operand| Err(Error::DType { operand, found: DType::F64 });
        let found = fused_linear(x.clone().cast(DType::F64), w.clone(), Some(b.clone()), &kernel).map(drop);
        assert_eq!(found, dtype(Operand::Input));
        let expected = "input: expected elements of type F32, found F64; `cast` converts a tensor";
        assert_eq!(found.unwrap_err().to_string(), expected);
        let found = fused_linear(x.clone(), w.clone().cast(DType::F64), Some(b.clone()), &kernel).map(drop);
        assert_eq!(found, dtype(Operand::Weight));
        let found = fused_linear(x.clone(), w.clone(), Some(b.clone().cast(DType::F64)), &kernel).map(drop);
        assert_eq!(found, dtype(Operand::Bias));

        let converted = fused_linear(x.cast(DType::F64).cast(DType::F32), w, Some(b), &kernel);
        assert!(converted.is_ok());
    }
}

#[test]
fn parameters_of_activations() {
    for device in all_devices() {
        let activation = Activation::LeakyRelu { slope: -1.0 };
        let layer = fused(&Numbers(3).linear(4, 3, true, &device), activation);
        let error = layer.try_forward(input(&device)).map(drop).unwrap_err();
        assert_eq!(error, Error::Kernel(fused_dense::Error::ActivationParameter { found: activation }));
        assert_eq!(error.to_string(), fused_dense::Error::ActivationParameter { found: activation }.to_string());
    }
}

#[test]
fn backends_without_fused_layers() {
    let device = Device::capture();
    let kernel = FusedKernel::new(4, 3, Activation::Relu);
    device
        .capture_scope(|scope| {
            let (x, w) = (Tensor::<2>::zeros([2, 4], &device), Tensor::<2>::zeros([4, 3], &device));
            let error = fused_linear(x, w, None, &kernel).map(drop).unwrap_err();
            assert!(matches!(error, Error::Backend { operand: Operand::Input, .. }), "{error}");
            assert!(error.to_string().contains("found one on Capture"), "{error}");
            scope.complete([], [])
        })
        .expect("a scope");
}

#[test]
#[cfg(all(feature = "flex", feature = "ndarray"))]
fn tensors_of_two_backends() {
    let (flex, ndarray) = (Device::flex(), crate::support::ndarray());
    let error = layer(&flex).try_forward(input(&ndarray)).map(drop).unwrap_err();
    assert!(matches!(error, Error::OtherBackend { operand: Operand::Weight, .. }), "{error}");
    let mut mixed = layer(&flex.clone().autodiff());
    mixed.bias = Some(Param::from_tensor(Tensor::zeros([3], &ndarray)));
    let error = mixed.try_forward(input(&flex)).map(drop).unwrap_err();
    assert!(matches!(error, Error::OtherBackend { operand: Operand::Bias, .. }), "{error}");
}

#[test]
fn two_strategies_of_checkpointing() {
    for device in devices() {
        let device = device.autodiff();
        let other = input(&device.clone().gradient_checkpointing());
        let found = layer(&device).try_forward(other).map(drop);
        assert_eq!(found, Err(Error::Checkpointing { operand: Operand::Weight }));
    }
}

#[test]
fn forward_panics_with_the_text_of_the_error() {
    for device in all_devices() {
        let call = || drop(layer(&device).forward(Tensor::<2>::zeros([2, 5], &device)));
        let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(call)).unwrap_err();
        let text = panic.downcast_ref::<String>().map(String::as_str);
        assert_eq!(text, Some("input: expected shape [.., 4], found [2, 5]"));
        assert!(layer(&device).try_forward(input(&device)).is_ok(), "the layer still works");
    }
}

/// A row that stands for more than an output can hold.
#[test]
#[cfg(feature = "flex")]
fn an_output_too_large_for_memory() {
    for device in [Device::flex(), Device::flex().autodiff()] {
        let rows = 1 << 59;
        let input = Tensor::<2>::zeros([1, 4], &device).expand([rows, 4]);
        let error = layer(&device).try_forward(input).map(drop).unwrap_err();
        assert_eq!(error, Error::Memory { elements: Some(3 * rows) });
    }
}
