//! The words of errors.

use fused_dense::{Activation, Cost, Error, Isa, Operand};

#[test]
fn messages() {
    let operand = Operand::DW;
    for (error, text) in [
        (Error::Length { operand, expected: 8, found: 7 }, "d_w: expected 8 elements, found 7"),
        (
            Error::NotWholeRows { operand: Operand::APrev, row_len: 4, found: 7 },
            "a_prev: expected a multiple of 4 elements (whole rows), found 7",
        ),
        (Error::Shape { operand, expected: (2, 3), found: (3, 2) }, "d_w: expected a 2×3 matrix, found 3×2"),
        (
            Error::OutOfBounds { expected: Some(9), found: 8 },
            "matrix view: its shape and strides need a slice of 9 elements, found 8",
        ),
        (
            Error::OutOfBounds { expected: None, found: 8 },
            "matrix view: its shape and strides need more elements than usize counts, found 8",
        ),
        (
            Error::Overlapping { shape: (2, 3), strides: (1, 1) },
            "mutable matrix view: expected strides that keep the elements of 2×3 apart, found row stride 1 and column \
             stride 1",
        ),
        (Error::Uninitialised { operand }, "d_w: expected initialised memory to add to, found an uninitialised view"),
        (
            Error::TargetsNeedSigmoid { found: Activation::Relu },
            "targets: expected a layer with sigmoid activation, found relu",
        ),
        (
            Error::CostNeedsActivation {
                cost: Cost::BinaryCrossEntropy,
                expected: Activation::Sigmoid,
                found: Activation::Relu,
            },
            "network: expected sigmoid activation in the last layer for binary cross-entropy cost, found relu",
        ),
        (
            Error::NetworkTooLarge { layer: 1, max_batch: 9 },
            "network: expected a layer 1 that fits memory with batches of 9 samples, found one that does not",
        ),
        (
            Error::NotASlice { operand: Operand::Z },
            "z: expected a plain slice or contiguous rows, found another layout",
        ),
        (Error::WorkspaceTooSmall { expected: 9, found: 8 }, "workspace: expected at least 9 elements, found 8"),
        (
            Error::UnknownIsa { found: "sse9" },
            "FUSED_DENSE_ISA: expected portable, neon, avx2 or avx512, found \"sse9\"",
        ),
        (
            Error::IsaNotBuilt { cap: Isa::Portable, lowest: Isa::Avx2 },
            "instruction set cap: expected avx2 or higher (this build holds no lesser kernels), found portable",
        ),
    ] {
        assert_eq!(error.to_string(), text);
    }
}

#[test]
fn operands_are_named_by_their_symbols() {
    let names = [
        (Operand::APrev, "a_prev"),
        (Operand::W, "w"),
        (Operand::B, "b"),
        (Operand::Z, "z"),
        (Operand::A, "a"),
        (Operand::Targets, "targets"),
        (Operand::DA, "d_a"),
        (Operand::DZ, "d_z"),
        (Operand::DW, "d_w"),
        (Operand::DB, "d_b"),
        (Operand::DAPrev, "d_a_prev"),
        (Operand::VW, "v_w"),
        (Operand::VB, "v_b"),
        (Operand::PartialSums, "partial_sums"),
        (Operand::X, "x"),
        (Operand::MW, "m_w"),
        (Operand::MB, "m_b"),
    ];
    for (operand, name) in names {
        assert_eq!(operand.to_string(), name);
    }
}
