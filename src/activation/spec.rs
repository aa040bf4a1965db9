//! The list of activations, data only: `build.rs` reads this file to write their kernels.

/// One activation's row.
pub(crate) struct FunctionSpec {
    /// The name, in words. Put together, each with a capital, they name the type that implements `Function`.
    pub(crate) name: &'static str,
    /// Whether the derivative needs `z`: where the function is not monotone, `a` does not tell it, and no kernel takes
    /// it from there.
    pub(crate) needs_z: bool,
}

/// Every activation, in the order of the kernel table's rows.
pub(crate) const FUNCTIONS: &[FunctionSpec] = &[
    FunctionSpec { name: "identity", needs_z: false },
    FunctionSpec { name: "sigmoid", needs_z: false },
    FunctionSpec { name: "tanh", needs_z: false },
    FunctionSpec { name: "relu", needs_z: false },
    FunctionSpec { name: "leaky relu", needs_z: false },
    FunctionSpec { name: "silu", needs_z: true },
    FunctionSpec { name: "gelu", needs_z: true },
    FunctionSpec { name: "gelu tanh", needs_z: true },
    FunctionSpec { name: "softplus", needs_z: false },
    FunctionSpec { name: "elu", needs_z: false },
];
