//! Records, configurations and display.

use crate::support::{Numbers, bits, devices, fused};
use burn::config::Config;
use burn::module::{Module, Quantizer};
use burn::nn::{Initializer, Linear, LinearConfig, LinearLayout, Relu};
use burn::store::ModuleRecord;
use burn::tensor::Device;
use fused_dense_burn::{Activation, FusedLinear, FusedLinearConfig, Team};

#[derive(Module, Debug)]
struct Own {
    hidden: Linear,
    activation: Relu,
    output: Linear,
}

#[derive(Module, Debug)]
struct Fused {
    hidden: FusedLinear,
    output: FusedLinear,
}

impl Own {
    fn new(layout: LinearLayout, bias: bool, device: &Device) -> Self {
        let layer = |i, o| LinearConfig::new(i, o).with_layout(layout).with_bias(bias).init(device);
        Self { hidden: layer(6, 5), activation: Relu::new(), output: layer(5, 4) }
    }
}

impl Fused {
    fn new(layout: LinearLayout, bias: bool, device: &Device) -> Self {
        let layer = |i, o, g| FusedLinearConfig::new(i, o, g).with_layout(layout).with_bias(bias).init(device);
        Self { hidden: layer(6, 5, Activation::Relu), output: layer(5, 4, Activation::Identity) }
    }
}

/// Through bytes, as in a file.
fn record(module: impl Module) -> ModuleRecord {
    ModuleRecord::from_bytes(module.into_record().into_bytes().expect("bytes")).expect("a record")
}

#[test]
fn records_load_both_ways() {
    for device in devices() {
        for layout in [LinearLayout::Row, LinearLayout::Col] {
            for bias in [true, false] {
                let own = Own::new(layout, bias, &device);
                let expected = (bits(own.hidden.weight.val()), own.output.bias.clone().map(|b| bits(b.val())));

                let fused = Fused::new(layout, bias, &device).load_record(record(own));
                let found = (bits(fused.hidden.weight.val()), fused.output.bias.clone().map(|b| bits(b.val())));
                assert_eq!(found, expected);

                let own = Own::new(layout, bias, &device).load_record(record(fused));
                let found = (bits(own.hidden.weight.val()), own.output.bias.clone().map(|b| bits(b.val())));
                assert_eq!(found, expected);
            }
        }
    }
}

#[test]
fn a_record_of_another_shape_is_refused() {
    for device in devices() {
        let other = FusedLinearConfig::new(6, 7, Activation::Relu).init(&device);
        let layer = FusedLinearConfig::new(6, 5, Activation::Relu).init(&device);
        assert!(layer.try_load_record(record(other)).is_err());
    }
}

#[test]
fn a_linear_layer_and_back() {
    for device in devices() {
        let linear = Numbers(3).linear(6, 5, true, &device);
        let expected = bits(linear.weight.val());
        assert_eq!(bits(fused(&linear, Activation::Gelu).into_linear().weight.val()), expected);
    }
}

#[test]
fn training_and_validation_have_the_same_output() {
    for device in devices() {
        let mut numbers = Numbers(5);
        let input = numbers.input([3, 6], &device);
        let layer = fused(&numbers.linear(6, 5, true, &device), Activation::Gelu);
        let expected = bits(layer.forward(input.clone()));
        let training = layer.train();
        let output = training.forward(input.clone());
        assert_eq!(bits(output.clone()), expected);
        assert!(training.weight.grad(&output.sum().backward()).is_some());
        assert_eq!(bits(training.valid().forward(input)), expected);
    }
}

#[test]
fn the_configuration_goes_through_json() {
    for activation in crate::support::activations() {
        let config = FusedLinearConfig::new(6, 5, activation)
            .with_bias(false)
            .with_initializer(Initializer::Zeros)
            .with_layout(LinearLayout::Col)
            .with_threads(Team::new(2));
        let read = FusedLinearConfig::load_binary(config.to_string().as_bytes()).expect("a configuration");
        assert_eq!(read.activation, activation);
        assert_eq!((read.linear.d_input, read.linear.d_output, read.linear.bias), (6, 5, false));
        assert_eq!(read.linear.initializer, Initializer::Zeros);
        assert!(matches!(read.linear.layout, LinearLayout::Col));
        assert!(matches!(read.threads, fused_dense_burn::Threads::Serial));
    }
    let text = FusedLinearConfig::new(6, 5, Activation::Relu).to_string().replace("relu", "softmax");
    let error = FusedLinearConfig::load_binary(text.as_bytes()).expect_err("no activation");
    assert!(error.to_string().contains("softmax"), "{error}");
}

#[test]
fn the_display_has_the_activation() {
    for device in devices() {
        let layer = FusedLinearConfig::new(6, 5, Activation::LeakyRelu { slope: 0.25 }).init(&device);
        let expected = "FusedLinear {d_input: 6, d_output: 5, bias: true, activation: leaky relu(0.25), params: 35}";
        assert_eq!(layer.to_string(), expected);
    }
}

#[test]
fn the_layer_moves_between_backends() {
    let devices = devices();
    let layer = FusedLinearConfig::new(6, 5, Activation::Tanh).init(&devices[0]);
    let outputs = devices.iter().map(|device| {
        let input = Numbers(7).input([3, 6], device);
        bits(layer.clone().to_device(device).forward(input))
    });
    let outputs = outputs.collect::<Vec<_>>();
    assert!(outputs.iter().all(|output| *output == outputs[0]));
}

/// Quantised weights are refused, and `dequantize` gives them back.
#[test]
#[cfg(feature = "flex")]
fn quantised_weights_are_refused() {
    use burn::tensor::quantization::{Calibration, QuantScheme, QuantStore, QuantValue};
    use fused_dense_burn::{Error, Operand};

    let device = Device::flex();
    let scheme = QuantScheme::default().with_value(QuantValue::Q8S).with_store(QuantStore::Native);
    let mut quantizer = Quantizer::new(Calibration::MinMax, scheme);
    let layer = FusedLinearConfig::new(8, 8, Activation::Relu).with_bias(false).init(&device);
    let layer = layer.quantize_weights(&mut quantizer);
    let input = Numbers(9).input([3, 8], &device);
    let error = layer.try_forward(input.clone()).expect_err("quantised");
    assert!(matches!(error, Error::DType { operand: Operand::Weight, .. }), "{error}");
    let weight = layer.weight.val().dequantize();
    let kernel = fused_dense_burn::FusedKernel::new(8, 8, Activation::Relu);
    assert!(fused_dense_burn::fused_linear(input, weight, None, &kernel).is_ok());
}
