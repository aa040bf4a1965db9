//! Tensors that are no plain rows: the results are those of a copy that is, to the bit.

use crate::support::{Numbers, assert_close, bits, devices, fused};
use burn::module::Param;
use burn::nn::{Linear, LinearConfig, LinearLayout};
use burn::tensor::{Device, Tensor, TensorData};
use fused_dense_burn::{Activation, FusedLinearConfig};

/// The same values as rows one behind the other.
fn plain<const D: usize>(tensor: &Tensor<D>) -> Tensor<D> {
    let (data, device) = (tensor.to_data(), tensor.device());
    Tensor::from_data(TensorData::new::<f32, _>(data.try_to_vec().expect("f32"), tensor.dims()), &device)
}

fn same_bits<const D: usize>(input: Tensor<D>, subject: &str) {
    let device = input.device();
    let d_input = input.dims()[D - 1];
    let layer = fused(&Numbers(29).linear(d_input, 5, true, &device), Activation::Silu);
    let results = |input: Tensor<D>| {
        let input = input.detach().require_grad();
        let output = layer.forward(input.clone());
        let gradients = output.clone().sum().backward();
        let of_weight = layer.weight.grad(&gradients).expect("tracked");
        [bits(output), bits(input.grad(&gradients).expect("tracked")), bits(of_weight)]
    };
    assert_eq!(results(input.clone()), results(plain(&input)), "{subject}");
}

fn tensor<const D: usize>(shape: [usize; D], device: &Device) -> Tensor<D> {
    Numbers(31).tensor(shape, device)
}

#[test]
fn inputs() {
    for device in devices() {
        let device = device.autodiff();
        same_bits(tensor([7, 4], &device).transpose(), "transposed");
        same_bits(tensor([9, 12], &device).slice([2..6, 3..9]), "a range of rows and columns");
        same_bits(tensor([4, 7], &device).flip([0]), "rows backwards");
        same_bits(tensor([4, 7], &device).flip([1]), "columns backwards");
        same_bits(tensor([1, 7], &device).expand([6, 7]), "one row for all");
        same_bits(tensor([3, 1], &device).expand([3, 7]), "one column for all");
        same_bits(tensor([2, 3, 7], &device).swap_dims(0, 1), "batch axes exchanged");
        same_bits(tensor([2, 7, 3], &device).swap_dims(1, 2), "rows and columns exchanged in each batch");
        same_bits(tensor([4, 3, 7], &device).slice([0..4, 1..2, 0..7]), "the middle one of each three");
        same_bits(tensor([3, 5, 7], &device).slice([0..3, 1..4, 0..7]), "gaps between batches");
        same_bits(tensor([2, 3, 4, 7], &device).permute([2, 0, 1, 3]), "the last batch axis first");
        same_bits(tensor([21], &device).narrow(0, 3, 12), "a part of a vector");
    }
}

#[test]
fn a_strided_gradient_from_above() {
    for device in devices() {
        let device = device.autodiff();
        let linear = Numbers(37).linear(6, 5, true, &device);
        let layer = fused(&linear, Activation::Tanh);
        let input = Numbers(41).input([4, 6], &device);
        let weights = tensor([5, 4], &device);
        let gradient = |output: Tensor<2>, weights: Tensor<2>| {
            let gradients = (output * weights).sum().backward();
            bits(layer.weight.grad(&gradients).expect("tracked"))
        };
        let through = gradient(layer.forward(input.clone()).transpose(), weights.clone());
        let direct = gradient(layer.forward(input), plain(&weights.transpose()));
        assert_eq!(through, direct);
    }
}

/// The layout with a row for each output: the weights stand transposed.
#[test]
fn weights_in_columns() {
    for device in devices() {
        let device = device.autodiff();
        device.seed(43);
        let config = LinearConfig::new(6, 5).with_layout(LinearLayout::Col);
        let linear = config.init(&device);
        let layer = fused(&linear, Activation::Identity);
        let input = Numbers(47).tensor([4, 6], &device).require_grad();
        let output = layer.forward(input.clone());
        assert_close(output.clone(), linear.forward(input.clone()), "output");
        let gradients = output.sum().backward();
        let own_gradients = linear.forward(input).sum().backward();
        let (found, expected) = (layer.weight.grad(&gradients), linear.weight.grad(&own_gradients));
        let found = found.expect("tracked");
        assert_close(found.clone(), expected.expect("tracked"), "weight");

        // The gradient of weights in rows, to the bit.
        let rows = Linear { weight: Param::from_tensor(plain(&linear.weight.val())), bias: linear.bias.clone() };
        let rows = fused(&rows, Activation::Identity);
        let gradients = rows.forward(Numbers(47).tensor([4, 6], &device)).sum().backward();
        assert_eq!(bits(found), bits(rows.weight.grad(&gradients).expect("tracked")));
    }
}

#[test]
fn weights_and_bias_that_are_parts_of_others() {
    for device in devices() {
        let big = Numbers(53).tensor([9, 8], &device);
        let bias = tensor([12], &device).narrow(0, 4, 5);
        let weight = big.slice([1..7, 2..7]);
        let linear = |weight: Tensor<2>, bias: Tensor<1>| Linear {
            weight: Param::from_tensor(weight),
            bias: Some(Param::from_tensor(bias)),
        };
        let parts = fused(&linear(weight.clone(), bias.clone()), Activation::Relu);
        let whole = fused(&linear(plain(&weight), plain(&bias)), Activation::Relu);
        let input = Numbers(59).tensor([4, 6], &device);
        assert_eq!(bits(parts.forward(input.clone())), bits(whole.forward(input)));
    }
}

#[test]
fn the_configuration_gives_the_initial_values_of_burns_own() {
    for device in devices() {
        for layout in [LinearLayout::Row, LinearLayout::Col] {
            device.seed(61);
            let own = LinearConfig::new(6, 5).with_layout(layout).init(&device);
            let own = (bits(own.weight.val()), bits(own.bias.expect("a bias").val()));
            device.seed(61);
            let fused = FusedLinearConfig::new(6, 5, Activation::Relu).with_layout(layout).init(&device);
            assert_eq!((bits(fused.weight.val()), bits(fused.bias.expect("a bias").val())), own);
        }
    }
}
