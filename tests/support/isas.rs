//! Which instruction sets a test runs over: all that the CPU has and the build promises.

use fused_dense::{Activation, Dense, Isa, Summation, Tuning};

/// Every order of summation that a caller can ask for.
pub(crate) const SUMMATIONS: [Summation; 3] = [Summation::Auto, Summation::Chain, Summation::Lanes];

/// The instruction sets that must be available, best first: all that the CPU has, down to the first that the build's
/// target features include. Under Miri there are portable kernels alone.
pub(crate) fn promised() -> Vec<Isa> {
    if cfg!(miri) {
        return vec![Isa::Portable];
    }
    let mut isas = Vec::new();
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512vl") {
            isas.push(Isa::Avx512);
        }
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            isas.push(Isa::Avx2);
        }
        if cfg!(all(target_feature = "avx512f", target_feature = "avx512vl")) {
            return vec![Isa::Avx512];
        }
        if cfg!(all(target_feature = "avx2", target_feature = "fma")) {
            return isas;
        }
    }
    #[cfg(target_arch = "aarch64")]
    {
        if std::arch::is_aarch64_feature_detected!("neon") {
            isas.push(Isa::Neon);
        }
        if cfg!(target_feature = "neon") {
            return isas;
        }
    }
    isas.push(Isa::Portable);
    isas
}

/// The instruction sets to test. Fails where one that is promised is missing.
#[track_caller]
pub(crate) fn all() -> Vec<Isa> {
    let isas = Isa::available();
    assert_eq!(isas, promised(), "instruction sets of this build and CPU");
    isas
}

/// A layer on exactly this instruction set.
#[track_caller]
pub(crate) fn layer(isa: Isa, summation: Summation, inputs: usize, outputs: usize, activation: Activation) -> Dense {
    let layer = Dense::new(inputs, outputs, activation).with_isa(isa).with_summation(summation);
    assert_eq!(layer.isa(), Ok(isa));
    layer
}

/// The tuning row that layers on the instruction set have, with these numbers in the place of its own.
pub(crate) fn row_with(isa: Isa, numbers: &[(&str, &str)]) -> &'static Tuning {
    let row = Dense::new(1, 1, Activation::Identity).with_isa(isa).tuning().expect("a row").clone();
    let change =
        |row: Tuning, (name, value): &(&str, &str)| row.with_number(name, value).expect("a number of each row");
    Box::leak(Box::new(numbers.iter().fold(row, change)))
}
