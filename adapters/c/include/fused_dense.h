/*
 * fused-dense: CPU kernels for training dense neural-network layers. License: MIT OR Apache-2.0.
 *
 * cbindgen writes this file from the sources of the crate fused-dense-c.
 *
 * Status    A function that can fail returns an fd_status. Where it is not FD_OK, the call has changed nothing but what the
 *           function's own words say, and fd_last_error() has the reason in words. A handle to be made is then null.
 * Handles   Pointers to fd_dense, fd_packed, fd_network and fd_team. Whoever makes one frees it, with the function of its
 *           type. None refers to another: they are freed in any order.
 * Operands  belong to the caller, and no function keeps a pointer to one. Elements are finite or not, as IEEE 754 has it.
 * Outputs   lie apart from all other operands of their call, which is checked (FD_ERROR_OVERLAP).
 * Pointers  are checked for null and for alignment. That they are valid otherwise, for all that a size or a shape says, is up
 *           to the caller.
 * Threads   Each function says how many threads may call it at once. A handle that it takes as const is shared; any other it
 *           has alone, and where two calls do not keep to that one is refused (FD_ERROR_BUSY). Nothing waits.
 * Structs   that begin with `size` can grow: set it to sizeof, or begin with the struct's ..._DEFAULTS.
 */

#ifndef FUSED_DENSE_H
#define FUSED_DENSE_H

#include <stddef.h>
#include <stdint.h>

/**
 * The version of the binary interface that this header describes. Programs may compare it with fd_abi_version().
 *
 * It is also the number in the shared library's name. Within one version functions, values and fields are added, and none
 * is changed or taken away.
 */
#define FD_ABI_VERSION 1

/**
 * Adds to d_w, in the place of overwriting it.
 */
#define FD_ADD_TO_D_W 1

/**
 * Adds to d_b, in the place of overwriting it.
 */
#define FD_ADD_TO_D_B 2

/**
 * Adds to d_a_prev, in the place of overwriting it.
 */
#define FD_ADD_TO_D_A_PREV 4

/**
 * The outcome of a call. Every value but FD_OK is a fault, of which fd_last_error has the text. A later version may add
 * faults: treat a value that you do not know as one.
 */
enum fd_status
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  /**
   * The call has done what it says.
   */
  FD_OK = 0,
  /**
   * A pointer that is needed is null.
   */
  FD_ERROR_NULL = 1,
  /**
   * A pointer is not aligned for its type.
   */
  FD_ERROR_MISALIGNED = 2,
  /**
   * The size that a structure says it has is that of no version of it, or a field is set that this library does not know.
   */
  FD_ERROR_STRUCT_SIZE = 3,
  /**
   * A number is no value of its enumeration.
   */
  FD_ERROR_ENUM = 4,
  /**
   * A text is no UTF-8, or names nothing.
   */
  FD_ERROR_TEXT = 5,
  /**
   * Arguments exclude each other, or one is missing.
   */
  FD_ERROR_ARGUMENT = 6,
  /**
   * An operand has the wrong size or shape.
   */
  FD_ERROR_SHAPE = 7,
  /**
   * Elements of an output share a place with each other, or with those of another operand.
   */
  FD_ERROR_OVERLAP = 8,
  /**
   * A setting is no number that it can be.
   */
  FD_ERROR_SETTING = 9,
  /**
   * A target or a weight is no value that the call is defined for.
   */
  FD_ERROR_VALUE = 10,
  /**
   * Layers, activation, cost, optimiser or packed weights do not fit each other.
   */
  FD_ERROR_MISMATCH = 11,
  /**
   * A cost or a gradient of a guarded network is infinite or NaN. No parameter was changed.
   */
  FD_ERROR_NOT_FINITE = 12,
  /**
   * There are no gradients: none were made since the last step.
   */
  FD_ERROR_NO_GRADIENTS = 13,
  /**
   * Memory cannot be had, or a size does not fit it.
   */
  FD_ERROR_MEMORY = 14,
  /**
   * The instruction set or the tuning row cannot be had.
   */
  FD_ERROR_ISA = 15,
  /**
   * A file cannot be read or written.
   */
  FD_ERROR_IO = 16,
  /**
   * A file holds something else than the network asks for.
   */
  FD_ERROR_FORMAT = 17,
  /**
   * Another call uses the handle, and one of the two changes it. Nothing was touched.
   */
  FD_ERROR_BUSY = 18,
  /**
   * A fault of this library: it panicked. The handle is of no more use, and can only be freed.
   */
  FD_ERROR_PANIC = 19,
  /**
   * An earlier call on this handle ended with FD_ERROR_PANIC.
   */
  FD_ERROR_POISONED = 20,
  /**
   * A fault that has no code of its own in this version.
   */
  FD_ERROR_OTHER = 21,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum fd_status fd_status;
#else
typedef int32_t fd_status;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * The function that a layer applies to its pre-activation z.
 */
enum fd_activation
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  /**
   * z
   */
  FD_ACTIVATION_IDENTITY = 0,
  /**
   * 1 / (1 + e^-z)
   */
  FD_ACTIVATION_SIGMOID = 1,
  /**
   * tanh z
   */
  FD_ACTIVATION_TANH = 2,
  /**
   * max(z, 0)
   */
  FD_ACTIVATION_RELU = 3,
  /**
   * z where z >= 0, else slope * z. Its parameter is the slope, usually 0.01.
   */
  FD_ACTIVATION_LEAKY_RELU = 4,
  /**
   * z * sigmoid(z). The derivative needs z.
   */
  FD_ACTIVATION_SILU = 5,
  /**
   * z * Phi(z) with the normal distribution Phi. The derivative needs z.
   */
  FD_ACTIVATION_GELU = 6,
  /**
   * GELU as approximated by tanh. The derivative needs z.
   */
  FD_ACTIVATION_GELU_TANH = 7,
  /**
   * ln(1 + e^z)
   */
  FD_ACTIVATION_SOFTPLUS = 8,
  /**
   * z where z >= 0, else alpha * (e^z - 1). Its parameter is alpha, usually 1.
   */
  FD_ACTIVATION_ELU = 9,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum fd_activation fd_activation;
#else
typedef int32_t fd_activation;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * The cost that a network descends, a mean over the batch.
 */
enum fd_cost
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  /**
   * Half the squared distance to the targets, behind any activation.
   */
  FD_COST_QUADRATIC = 0,
  /**
   * Cross-entropy of each output on its own. The last layer is a sigmoid.
   */
  FD_COST_BINARY_CROSS_ENTROPY = 1,
  /**
   * Cross-entropy of classes that exclude each other. The last layer is the identity.
   */
  FD_COST_SOFTMAX_CROSS_ENTROPY = 2,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum fd_cost fd_cost;
#else
typedef int32_t fd_cost;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * An instruction set, as a cap: none above it is used.
 */
enum fd_isa
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  /**
   * The best that the CPU has and the environment variable FUSED_DENSE_ISA allows.
   */
  FD_ISA_BEST = 0,
  /**
   * The instructions of the build's target.
   */
  FD_ISA_PORTABLE = 1,
  /**
   * NEON
   */
  FD_ISA_NEON = 2,
  /**
   * AVX2 with FMA
   */
  FD_ISA_AVX2 = 3,
  /**
   * AVX-512F
   */
  FD_ISA_AVX512 = 4,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum fd_isa fd_isa;
#else
typedef int32_t fd_isa;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * The order in which the terms of a sum are added.
 */
enum fd_summation
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  /**
   * Whichever of the two is faster. The bits of a sample may depend on the batch around it and on the weights' layout.
   */
  FD_SUMMATION_AUTO = 0,
  /**
   * Blocks of 256 fused multiply-adds, in ascending order.
   */
  FD_SUMMATION_CHAIN = 1,
  /**
   * Sixteen interleaved chains.
   */
  FD_SUMMATION_LANES = 2,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum fd_summation fd_summation;
#else
typedef int32_t fd_summation;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * The type of an array of classes.
 */
enum fd_class_type
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  /**
   * uint8_t
   */
  FD_CLASS_TYPE_U8 = 0,
  /**
   * uint16_t
   */
  FD_CLASS_TYPE_U16 = 1,
  /**
   * uint32_t
   */
  FD_CLASS_TYPE_U32 = 2,
  /**
   * uint64_t
   */
  FD_CLASS_TYPE_U64 = 3,
  /**
   * int32_t
   */
  FD_CLASS_TYPE_I32 = 4,
  /**
   * int64_t
   */
  FD_CLASS_TYPE_I64 = 5,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum fd_class_type fd_class_type;
#else
typedef int32_t fd_class_type;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * An array of a network's layer.
 */
enum fd_array
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  /**
   * The weights, outputs x inputs.
   */
  FD_ARRAY_W = 0,
  /**
   * The bias, one value for each output.
   */
  FD_ARRAY_B = 1,
  /**
   * The cost's gradient by the weights. Read only.
   */
  FD_ARRAY_D_W = 2,
  /**
   * The cost's gradient by the bias. Read only.
   */
  FD_ARRAY_D_B = 3,
  /**
   * The optimiser's state beside the weights: the velocity of SGD with momentum, Adam's first moment.
   */
  FD_ARRAY_W_STATE_0 = 4,
  /**
   * The same beside the bias.
   */
  FD_ARRAY_B_STATE_0 = 5,
  /**
   * Adam's second moment beside the weights.
   */
  FD_ARRAY_W_STATE_1 = 6,
  /**
   * The same beside the bias.
   */
  FD_ARRAY_B_STATE_1 = 7,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum fd_array fd_array;
#else
typedef int32_t fd_array;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * The output that a cost of the caller's own is computed from, and whose gradient it writes.
 */
enum fd_own_cost
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  /**
   * The last layer's activation a.
   */
  FD_OWN_COST_BY_A = 0,
  /**
   * The last layer's pre-activation z.
   */
  FD_OWN_COST_BY_Z = 1,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum fd_own_cost fd_own_cost;
#else
typedef int32_t fd_own_cost;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * A layer of a number of inputs and outputs, with an activation. It holds no parameters: the caller owns every operand.
 *
 * With a_prev: batch x inputs, w: outputs x inputs, b: outputs and g the activation:
 *
 * forward    z = a_prev * w^T + b
 *            a = g(z)
 * backward   d_z = d_a . g'(z)
 *            d_w = scale * d_z^T * a_prev
 *            d_b = scale * the sum of the rows of d_z
 *            d_a_prev = d_z * w
 *
 * Nothing changes a layer once it is made, and any number of threads may call it at once.
 */
typedef struct fd_dense fd_dense;

/**
 * Layers in a chain, with their parameters, gradients and optimiser, trained on mini-batches.
 *
 * Functions that take it as const may be called by any number of threads at once. All others have it alone: the caller puts
 * such calls in order, and one that finds another at work is refused (FD_ERROR_BUSY), as the other may be.
 */
typedef struct fd_network fd_network;

/**
 * A copy of a layer's weights in the order in which its kernels read them, for any number of calls of every layer with this
 * shape and instruction set.
 */
typedef struct fd_packed fd_packed;

/**
 * Threads that share the work of the layers and networks that were made with them. Those keep the threads alive: the handle
 * may be freed first. A call that finds the team at work for another caller runs on its own thread alone.
 */
typedef struct fd_team fd_team;

/**
 * How a layer is to be made. Begin with FD_DENSE_OPTIONS_DEFAULTS.
 */
typedef struct fd_dense_options {
  /**
   * sizeof(fd_dense_options)
   */
  size_t size;
  /**
   * Values in a row of the input.
   */
  size_t inputs;
  /**
   * Values in a row of the output.
   */
  size_t outputs;
  /**
   * FD_ACTIVATION_IDENTITY by default.
   */
  fd_activation activation;
  /**
   * The instruction set above which none is used: FD_ISA_BEST by default.
   */
  fd_isa isa;
  /**
   * FD_SUMMATION_AUTO by default. Pinned, results depend neither on the batch around a sample nor on the weights' layout.
   */
  fd_summation summation;
  /**
   * The activation's parameter; null for the usual one.
   */
  const float *parameter;
  /**
   * The activation by name, as fd_activation_parse reads it, in the place of activation and parameter; else null.
   */
  const char *activation_name;
  /**
   * The threads that share the work; null for the calling thread alone.
   */
  const struct fd_team *team;
} fd_dense_options;

/**
 * Facts about a layer. Set `size` before it is filled.
 */
typedef struct fd_dense_info {
  /**
   * sizeof(fd_dense_info)
   */
  size_t size;
  /**
   * Values in a row of the input.
   */
  size_t inputs;
  /**
   * Values in a row of the output.
   */
  size_t outputs;
  fd_activation activation;
  /**
   * The activation's parameter; 0 where it has none.
   */
  float parameter;
  /**
   * Not 0 where the derivative follows from z alone: a backward pass from d_a needs z then.
   */
  int32_t needs_z;
  /**
   * The instruction set that calls use.
   */
  fd_isa isa;
  fd_summation summation;
  /**
   * Values of scratch memory that a call takes, of which each caller at the same time has its own.
   */
  size_t workspace_len;
  /**
   * The most samples of an update without room for partial sums.
   */
  size_t update_batch;
} fd_dense_info;

/**
 * A matrix to read: element (i, j) stands at `data[i * row_stride + j * col_stride]`. Strides count elements, and a stride of
 * 0 repeats a row or a column. An empty matrix may have any address.
 */
typedef struct fd_matrix {
  /**
   * The first element.
   */
  const float *data;
  size_t rows;
  size_t cols;
  /**
   * Elements from one row to the next.
   */
  size_t row_stride;
  /**
   * Elements from one column to the next.
   */
  size_t col_stride;
} fd_matrix;

/**
 * A matrix to write, laid out as an fd_matrix. No two of its elements share a place: one of the two strides reaches past the
 * whole extent of the other. What is only overwritten need not be initialised.
 */
typedef struct fd_matrix_mut {
  /**
   * The first element.
   */
  float *data;
  size_t rows;
  size_t cols;
  /**
   * Elements from one row to the next.
   */
  size_t row_stride;
  /**
   * Elements from one column to the next.
   */
  size_t col_stride;
} fd_matrix_mut;

/**
 * A backward pass. Begin with FD_BACKWARD_DEFAULTS.
 */
typedef struct fd_backward {
  /**
   * sizeof(fd_backward)
   */
  size_t size;
  /**
   * The layer's input, batch x inputs.
   */
  const struct fd_matrix *a_prev;
  /**
   * The weights, outputs x inputs; null where they are packed.
   */
  const struct fd_matrix *w;
  /**
   * The weights, packed; null where they are not.
   */
  const struct fd_packed *packed;
  /**
   * Saved by the forward pass, batch x outputs: the activation a, or null.
   */
  const struct fd_matrix *saved_a;
  /**
   * Saved by the forward pass: the pre-activation z, exact also where a has saturated, or null.
   */
  const struct fd_matrix *saved_z;
  /**
   * The gradient that comes from above, batch x outputs: the cost's by a, or null.
   */
  const struct fd_matrix *from_d_a;
  /**
   * The gradient that comes from above: the cost's by z itself, or null.
   */
  const struct fd_matrix *from_d_z;
  /**
   * The targets of cross-entropy behind a sigmoid, of which follows d_z = a - y; or null.
   */
  const struct fd_matrix *from_targets;
  /**
   * Where the gradient by w goes, outputs x inputs; null where it is not wanted.
   */
  const struct fd_matrix_mut *d_w;
  /**
   * Where the gradient by b goes, 1 x outputs; null where it is not wanted.
   */
  const struct fd_matrix_mut *d_b;
  /**
   * Where the gradient by a_prev goes, batch x inputs; null where it is not wanted.
   */
  const struct fd_matrix_mut *d_a_prev;
  /**
   * Where d_z goes, batch x outputs; null where it is not wanted.
   */
  const struct fd_matrix_mut *d_z;
  /**
   * Which gradients are added to: FD_ADD_TO_... together, or 0.
   */
  uint32_t add;
  /**
   * The factor of d_w and d_b: 1 for sums over the batch, 1 / batch for means. Finite, and not 0.
   */
  float scale;
} fd_backward;

/**
 * Gradient descent. Begin with FD_SGD_DEFAULTS.
 *
 * With momentum a parameter keeps one array of state, the velocity; without it none.
 */
typedef struct fd_sgd {
  /**
   * sizeof(fd_sgd)
   */
  size_t size;
  /**
   * A finite number from 0 on.
   */
  float learning_rate;
  /**
   * From 0, which is none, to 1.
   */
  float momentum;
  /**
   * Added to the gradient, times the weights. A bias does not decay.
   */
  float weight_decay;
  /**
   * Not 0 for Nesterov's rule, which asks for a momentum.
   */
  int32_t is_nesterov;
} fd_sgd;

/**
 * Adam, and AdamW. Begin with FD_ADAM_DEFAULTS.
 *
 * A parameter keeps two arrays of state, the first and the second moment.
 */
typedef struct fd_adam {
  /**
   * sizeof(fd_adam)
   */
  size_t size;
  /**
   * A finite number from 0 on.
   */
  float learning_rate;
  /**
   * The share of the first moment that a step keeps: from 0 to below 1.
   */
  float beta1;
  /**
   * The share of the second moment that a step keeps: from 0 to below 1.
   */
  float beta2;
  /**
   * Added to the denominator.
   */
  float epsilon;
  /**
   * A finite number from 0 on. A bias does not decay.
   */
  float weight_decay;
  /**
   * Not 0 for AdamW: weights decay by themselves, rather than through the gradient.
   */
  int32_t is_decoupled;
} fd_adam;

/**
 * A backward pass that updates the weights. Begin with FD_UPDATE_DEFAULTS.
 */
typedef struct fd_update {
  /**
   * sizeof(fd_update)
   */
  size_t size;
  /**
   * The layer's input, batch x inputs.
   */
  const struct fd_matrix *a_prev;
  /**
   * The weights, outputs x inputs, which the call changes.
   */
  const struct fd_matrix_mut *w;
  /**
   * The optimiser's state beside the weights, each of their shape and zero before the first step: none, the velocity, or
   * the first moment and the second. The others are null.
   */
  const struct fd_matrix_mut *w_state[2];
  /**
   * The bias, 1 x outputs, which the call changes; or null.
   */
  const struct fd_matrix_mut *b;
  /**
   * As w_state, beside the bias.
   */
  const struct fd_matrix_mut *b_state[2];
  /**
   * Saved by the forward pass, as in fd_backward.
   */
  const struct fd_matrix *saved_a;
  /**
   * As saved_a.
   */
  const struct fd_matrix *saved_z;
  /**
   * The gradient that comes from above, as in fd_backward.
   */
  const struct fd_matrix *from_d_a;
  /**
   * As from_d_a.
   */
  const struct fd_matrix *from_d_z;
  /**
   * As from_d_a.
   */
  const struct fd_matrix *from_targets;
  /**
   * Where the gradient by a_prev goes, with the weights before the step; null where it is not wanted.
   */
  const struct fd_matrix_mut *d_a_prev;
  /**
   * Where d_z goes; null where it is not wanted.
   */
  const struct fd_matrix_mut *d_z;
  /**
   * Room of the weights' shape, initialised, which a batch of more than update_batch samples (fd_dense_info) needs; or null.
   * Smaller batches are faster with it where the optimiser keeps state and all rows are contiguous.
   */
  const struct fd_matrix_mut *partial_sums;
  /**
   * The optimiser: one of the two.
   */
  const struct fd_sgd *sgd;
  /**
   * As sgd.
   */
  const struct fd_adam *adam;
  /**
   * Which step it is, counted from 1. Adam's depends on it.
   */
  uint64_t step;
  /**
   * FD_ADD_TO_D_A_PREV, or 0.
   */
  uint32_t add;
  /**
   * As in fd_backward.
   */
  float scale;
} fd_update;

/**
 * A layer of a network to be made. What is zero or null has its usual value: `{ .outputs = 10 }` is a linear layer.
 */
typedef struct fd_layer {
  /**
   * Values in a row of the output. The inputs are the outputs of the layer before.
   */
  size_t outputs;
  /**
   * FD_ACTIVATION_IDENTITY by default.
   */
  fd_activation activation;
  /**
   * The activation's parameter; null for the usual one.
   */
  const float *parameter;
  /**
   * The activation by name, in the place of activation and parameter; else null.
   */
  const char *activation_name;
  /**
   * A layer with options of its own, which is copied, in the place of all fields above; else null.
   */
  const struct fd_dense *dense;
} fd_layer;

/**
 * How a network is to be made. Begin with FD_NETWORK_OPTIONS_DEFAULTS.
 */
typedef struct fd_network_options {
  /**
   * sizeof(fd_network_options)
   */
  size_t size;
  /**
   * Inputs of the first layer.
   */
  size_t inputs;
  /**
   * The layers, from the input's to the output's.
   */
  const struct fd_layer *layers;
  size_t layer_count;
  /**
   * sizeof(fd_layer)
   */
  size_t layer_size;
  /**
   * FD_COST_QUADRATIC by default.
   */
  fd_cost cost;
  /**
   * FD_ISA_BEST by default.
   */
  fd_isa isa;
  /**
   * FD_SUMMATION_AUTO by default.
   */
  fd_summation summation;
  /**
   * Not 0: steps go on where the cost or a gradient is infinite or NaN, and are a little faster.
   */
  int32_t is_unguarded;
  /**
   * The threads that share the layers' work; null for the calling thread alone.
   */
  const struct fd_team *team;
  /**
   * The optimiser: one of the two, or none for Adam with a learning rate of 0.001.
   */
  const struct fd_sgd *sgd;
  /**
   * As sgd.
   */
  const struct fd_adam *adam;
  /**
   * A factor of the loss for each output or class; null for none.
   */
  const float *class_weights;
  size_t class_weight_count;
  /**
   * A factor of the part of targets of 1 in binary cross-entropy; null for none.
   */
  const float *positive_weight;
  /**
   * The initial weights: "zeros", "glorot-uniform", "glorot-normal", "he-uniform", "he-normal", "lecun-uniform",
   * "lecun-normal", "uniform(limit)" or "normal(deviation)"; null for what suits each activation.
   */
  const char *init;
  /**
   * The seed of the initial weights, which are the same on every platform.
   */
  uint64_t seed;
  /**
   * The most samples of a batch that trains; 0 for 256.
   */
  size_t max_batch;
} fd_network_options;

/**
 * Facts about a network. Set `size` before it is filled.
 */
typedef struct fd_network_info {
  /**
   * sizeof(fd_network_info)
   */
  size_t size;
  /**
   * Inputs of the first layer.
   */
  size_t inputs;
  /**
   * Outputs of the last layer.
   */
  size_t outputs;
  size_t layer_count;
  /**
   * The most samples of a batch that trains.
   */
  size_t max_batch;
  /**
   * Weights and biases of all layers together.
   */
  size_t parameter_count;
  /**
   * Arrays that the optimiser keeps beside each parameter.
   */
  size_t state_arrays;
  /**
   * Steps taken.
   */
  uint64_t steps;
  float learning_rate;
  fd_cost cost;
  /**
   * Not 0 where the layers hold gradients of a cost, which no step has taken.
   */
  int32_t has_gradients;
} fd_network_info;

/**
 * The wanted outputs of a batch: a value for each output, or a class for each sample. Begin with FD_TARGETS_DEFAULTS.
 */
typedef struct fd_targets {
  /**
   * sizeof(fd_targets)
   */
  size_t size;
  /**
   * batch x outputs values, rows one behind the other; null where there are classes.
   */
  const float *values;
  size_t value_count;
  /**
   * A class for each sample, counted from 0, in an array of class_type; null where there are values.
   */
  const void *classes;
  size_t class_count;
  fd_class_type class_type;
  /**
   * A weight for each sample, finite and at least 0; null for 1 each.
   */
  const float *sample_weights;
  size_t sample_weight_count;
} fd_targets;

/**
 * A cost of the caller's own. It reads the network's output, batch x outputs, rows one behind the other; writes the gradient
 * of the cost by it, all of it, to `gradient`, which is laid out alike; and returns the cost. A mean over the batch has its
 * factor 1/batch in both. A guarded network takes no step where the cost is infinite or NaN.
 *
 * It may not leave by longjmp or an exception. Calls on the same network are refused in it.
 */
typedef double (*fd_cost_fn)(void *user, const float *output, float *gradient, size_t batch, size_t outputs);

/**
 * The cost and the accuracy of samples. Set `size` before it is filled.
 */
typedef struct fd_evaluation {
  /**
   * sizeof(fd_evaluation)
   */
  size_t size;
  /**
   * A mean over the samples.
   */
  double cost;
  /**
   * The share of samples whose class is that of the targets; NaN where has_accuracy is 0.
   */
  double accuracy;
  /**
   * 0 where the targets are no classes, or there are no samples.
   */
  int32_t has_accuracy;
} fd_evaluation;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * The version of the binary interface of the library that runs.
 *
 * Threads: any number at once.
 */
uint32_t fd_abi_version(void);

/**
 * The version of the library, such as "0.1.0". Never null, and valid for ever.
 *
 * Threads: any number at once.
 */
const char *fd_version(void);

/**
 * The text of the last call of this thread that failed: what was expected, and what was found. Empty before the first.
 *
 * A call that succeeds leaves the text as it is: look at it where a status says that something failed. It is UTF-8, never
 * null, and valid until the next call of this library by this thread.
 *
 * Threads: any number at once; each has a text of its own.
 */
const char *fd_last_error(void);

/**
 * The name of a status, such as "FD_ERROR_SHAPE"; "unknown status" for other numbers. Never null, and valid for ever.
 *
 * Threads: any number at once.
 */
const char *fd_status_name(fd_status status);

/**
 * Reads an activation's name, such as "relu", "leaky relu" or "leaky relu(0.02)". Case, blanks, _ and - do not matter.
 *
 * `activation` and `parameter` may be null. The parameter of an activation that has none is 0.
 *
 * Threads: any number at once.
 */
fd_status fd_activation_parse(const char *name, fd_activation *activation, float *parameter);

/**
 * The name of an activation; null for a number that is none. Valid for ever.
 *
 * Threads: any number at once.
 */
const char *fd_activation_name(fd_activation activation);

/**
 * The name of an instruction set, "best" for FD_ISA_BEST; null for a number that is none. Valid for ever.
 *
 * Threads: any number at once.
 */
const char *fd_isa_name(fd_isa isa);

/**
 * Makes a team of so many threads, the caller's among them: 2 starts one. It has at least one, and fewer than asked for
 * where the system refuses more.
 *
 * Threads: any number at once.
 */
fd_status fd_team_new(size_t threads, struct fd_team **team);

/**
 * How many threads the team has, the caller's among them.
 *
 * Threads: any number at once.
 */
fd_status fd_team_threads(const struct fd_team *team, size_t *threads);

/**
 * Frees the handle. Null is none.
 *
 * Threads: no other call may use the handle at the same time, or afterwards.
 */
void fd_team_free(struct fd_team *team);

/**
 * Makes a layer. Memory for calls is allocated here, and again where more threads call at once than before; no other call
 * allocates.
 *
 * Threads: any number at once.
 */
fd_status fd_dense_new(const struct fd_dense_options *options,
                       struct fd_dense **layer);

/**
 * Makes another layer like this one, with memory of its own.
 *
 * Threads: any number at once.
 */
fd_status fd_dense_clone(const struct fd_dense *layer, struct fd_dense **copy);

/**
 * Frees a layer. Null is none. Networks that were made with it keep a copy.
 *
 * Threads: no other call may use the layer at the same time, or afterwards.
 */
void fd_dense_free(struct fd_dense *layer);

/**
 * Fills in the facts about a layer.
 *
 * Threads: any number at once.
 */
fd_status fd_dense_get_info(const struct fd_dense *layer, struct fd_dense_info *info);

/**
 * z = a_prev * w^T + b, a = g(z).
 *
 * a_prev: batch x inputs, w: outputs x inputs, b: 1 x outputs or null for none, a: batch x outputs, z: batch x outputs or null
 * where it is not kept. Outputs lie apart from all other operands; where the call fails none was touched.
 *
 * Threads: any number at once, each with outputs of its own.
 */
fd_status fd_dense_forward(const struct fd_dense *layer,
                           const struct fd_matrix *a_prev,
                           const struct fd_matrix *w,
                           const struct fd_matrix *b,
                           const struct fd_matrix_mut *a,
                           const struct fd_matrix_mut *z);

/**
 * As fd_dense_forward, with weights that were packed: equal bits, and no transposition in the call.
 *
 * Threads: any number at once, each with outputs of its own.
 */
fd_status fd_dense_forward_packed(const struct fd_dense *layer,
                                  const struct fd_matrix *a_prev,
                                  const struct fd_packed *w,
                                  const struct fd_matrix *b,
                                  const struct fd_matrix_mut *a,
                                  const struct fd_matrix_mut *z);

/**
 * Packs w: outputs x inputs for a layer, and for every other with its shape and instruction set.
 *
 * Threads: any number at once.
 */
fd_status fd_packed_new(const struct fd_dense *layer, const struct fd_matrix *w, struct fd_packed **packed);

/**
 * Packs other weights of the same shape into the same memory.
 *
 * Threads: alone with `packed`; a call that uses it at the same time is refused, or this one is (FD_ERROR_BUSY).
 */
fd_status fd_packed_repack(struct fd_packed *packed, const struct fd_matrix *w);

/**
 * Frees packed weights. Null is none.
 *
 * Threads: no other call may use them at the same time, or afterwards.
 */
void fd_packed_free(struct fd_packed *packed);

/**
 * The gradients of one layer, as `call` asks for them.
 *
 * One of w and packed, of saved_a and saved_z, and of from_d_a, from_d_z and from_targets is given. Outputs lie apart from
 * all other operands; where the call fails none was touched.
 *
 * Threads: any number at once, each with outputs of its own.
 */
fd_status fd_dense_backward(const struct fd_dense *layer,
                            const struct fd_backward *call);

/**
 * A backward pass and an optimiser's step in one: each piece of the gradients updates its parameters while it is in the
 * caches.
 *
 * Parameters and state are, to the bit, those of the optimiser's rule applied to the gradients of fd_dense_backward. Where the
 * call fails nothing was touched.
 *
 * Threads: any number at once, each with parameters and outputs of its own.
 */
fd_status fd_dense_update(const struct fd_dense *layer,
                          const struct fd_update *call);

/**
 * Makes a network, plans and initialises it, and allocates its memory.
 *
 * Threads: any number at once.
 */
fd_status fd_network_new(const struct fd_network_options *options, struct fd_network **network);

/**
 * Makes a copy: parameters, gradients, the optimiser's state, steps and all settings. It shares the team, and nothing else.
 *
 * Threads: any number at once, beside others that take the network as const.
 */
fd_status fd_network_clone(const struct fd_network *network,
                           struct fd_network **copy);

/**
 * Frees a network. Null is none.
 *
 * Threads: no other call may use it at the same time, or afterwards.
 */
void fd_network_free(struct fd_network *network);

/**
 * Fills in the facts about a network.
 *
 * Threads: any number at once, beside others that take the network as const.
 */
fd_status fd_network_get_info(const struct fd_network *network, struct fd_network_info *info);

/**
 * Fills in the facts about one of a network's layers, counted from 0.
 *
 * Threads: any number at once, beside others that take the network as const.
 */
fd_status fd_network_get_layer_info(const struct fd_network *network, size_t layer, struct fd_dense_info *info);

/**
 * One step of the optimiser along the gradients of the batch's cost.
 *
 * x: batch x inputs, at most max_batch samples. `cost` gets the cost before the step; it may be null. An empty batch is no step.
 * Where the call fails no parameter was changed.
 *
 * Threads: alone with the network.
 */
fd_status fd_network_step(struct fd_network *network,
                          const struct fd_matrix *x,
                          const struct fd_targets *targets,
                          double *cost);

/**
 * The cost of the batch and its gradients by all parameters, which stay in the layers: for fd_network_get_array, or for
 * fd_network_apply_gradients.
 *
 * x and `cost` as in fd_network_step. Where the call fails no gradient was changed.
 *
 * Threads: alone with the network.
 */
fd_status fd_network_gradients(struct fd_network *network,
                               const struct fd_matrix *x,
                               const struct fd_targets *targets,
                               double *cost);

/**
 * Adds the gradients of one batch as its part of a larger one of `samples` in all (with sample weights: of that sum of
 * weights). The first call after a step starts from zero. `cost` gets this batch's part of the cost.
 *
 * Threads: alone with the network.
 */
fd_status fd_network_accumulate(struct fd_network *network,
                                const struct fd_matrix *x,
                                const struct fd_targets *targets,
                                float samples,
                                double *cost);

/**
 * A step of the optimiser down a cost of the caller's own.
 *
 * `by` says whether it is computed from a or from z of the last layer; `user` goes to every call of it; `cost` gets what it
 * returns, and may be null.
 *
 * Threads: alone with the network. The function is called once, by the calling thread.
 */
fd_status fd_network_step_own(struct fd_network *network,
                              const struct fd_matrix *x,
                              fd_own_cost by,
                              fd_cost_fn function,
                              void *user,
                              double *cost);

/**
 * The gradients of a cost of the caller's own, as fd_network_gradients leaves them in the layers.
 *
 * Threads: alone with the network. The function is called once, by the calling thread.
 */
fd_status fd_network_gradients_own(struct fd_network *network,
                                   const struct fd_matrix *x,
                                   fd_own_cost by,
                                   fd_cost_fn function,
                                   void *user,
                                   double *cost);

/**
 * Scales all gradients down so that their norm, over all parameters together, is at most `max_norm`. `norm` gets the norm that
 * they had; it may be null.
 *
 * Threads: alone with the network.
 */
fd_status fd_network_clip_gradients(struct fd_network *network,
                                    float max_norm,
                                    double *norm);

/**
 * A step of the optimiser along the gradients in the layers.
 *
 * Threads: alone with the network.
 */
fd_status fd_network_apply_gradients(struct fd_network *network);

/**
 * Sets the learning rate of the steps to come: a finite number from 0 on.
 *
 * Threads: alone with the network.
 */
fd_status fd_network_set_learning_rate(struct fd_network *network, float learning_rate);

/**
 * Sets another optimiser for the steps to come, one of the two, which keeps as many arrays beside each parameter: what they hold
 * stays.
 *
 * Threads: alone with the network.
 */
fd_status fd_network_set_optimizer(struct fd_network *network,
                                   const struct fd_sgd *sgd,
                                   const struct fd_adam *adam);

/**
 * Sets the number of steps taken, beside the optimiser's state (fd_network_set_array).
 *
 * Threads: alone with the network.
 */
fd_status fd_network_set_steps(struct fd_network *network, uint64_t steps);

/**
 * The network's output for x: batch x inputs, any batch. `a` has a_len = batch * outputs elements, rows one behind the other.
 *
 * Threads: any number at once, beside others that take the network as const.
 */
fd_status fd_network_predict(const struct fd_network *network,
                             const struct fd_matrix *x,
                             float *a,
                             size_t a_len);

/**
 * As fd_network_predict, with the output as probabilities: of a network that descends softmax cross-entropy the softmax of
 * its rows, of any other the output itself.
 *
 * Threads: any number at once, beside others that take the network as const.
 */
fd_status fd_network_predict_probabilities(const struct fd_network *network,
                                           const struct fd_matrix *x,
                                           float *p,
                                           size_t p_len);

/**
 * The class of each sample of x: the number of its largest output, the first of equals; of a single output whether it is
 * above 1/2.
 *
 * Threads: any number at once, beside others that take the network as const.
 */
fd_status fd_network_predict_classes(const struct fd_network *network,
                                     const struct fd_matrix *x,
                                     uint32_t *classes,
                                     size_t class_count);

/**
 * The cost of samples, and the accuracy of their classes: any batch.
 *
 * Threads: any number at once, beside others that take the network as const.
 */
fd_status fd_network_evaluate(const struct fd_network *network,
                              const struct fd_matrix *x,
                              const struct fd_targets *targets,
                              struct fd_evaluation *evaluation);

/**
 * Copies an array of a layer, counted from 0, to `values`, whose length is that of the array: outputs * inputs beside the
 * weights, outputs beside the bias.
 *
 * Threads: any number at once, beside others that take the network as const.
 */
fd_status fd_network_get_array(const struct fd_network *network,
                               size_t layer,
                               fd_array array,
                               float *values,
                               size_t value_count);

/**
 * Sets an array of a layer, as fd_network_get_array copies it. Gradients cannot be set, and those in the layers count as
 * they are.
 *
 * Threads: alone with the network.
 */
fd_status fd_network_set_array(struct fd_network *network,
                               size_t layer,
                               fd_array array,
                               const float *values,
                               size_t value_count);

/**
 * Writes the parameters to a file in the format safetensors, under the names that PyTorch gives those of a Sequential. The file
 * takes the place of an old one as a whole or not at all. `path` is UTF-8; on Unix any bytes.
 *
 * Threads: any number at once, beside others that take the network as const.
 */
fd_status fd_network_save(const struct fd_network *network,
                          const char *path);

/**
 * Writes all that training goes on from: the parameters, the optimiser with its settings and state, the steps taken.
 *
 * Threads: any number at once, beside others that take the network as const.
 */
fd_status fd_network_save_checkpoint(const struct fd_network *network, const char *path);

/**
 * Reads the parameters from a file that fd_network_save, fd_network_save_checkpoint or another program wrote. The layers'
 * gradients count as none. Where the call fails nothing was changed.
 *
 * Threads: alone with the network.
 */
fd_status fd_network_load(struct fd_network *network,
                          const char *path);

/**
 * Reads what fd_network_save_checkpoint wrote, the optimiser's settings included. The layers' gradients count as none. Where the
 * call fails nothing was changed.
 *
 * Threads: alone with the network.
 */
fd_status fd_network_load_checkpoint(struct fd_network *network,
                                     const char *path);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

/** The usual values of each structure, to begin with. */
#define FD_SGD_DEFAULTS { sizeof(fd_sgd), 0.01f, 0.0f, 0.0f, 0 }
#define FD_ADAM_DEFAULTS { sizeof(fd_adam), 0.001f, 0.9f, 0.999f, 1e-8f, 0.0f, 0 }
#define FD_TARGETS_DEFAULTS { sizeof(fd_targets), NULL, 0, NULL, 0, FD_CLASS_TYPE_U8, NULL, 0 }
#define FD_DENSE_OPTIONS_DEFAULTS \
  { sizeof(fd_dense_options), 0, 0, FD_ACTIVATION_IDENTITY, FD_ISA_BEST, FD_SUMMATION_AUTO, NULL, NULL, NULL }
#define FD_BACKWARD_DEFAULTS \
  { sizeof(fd_backward), NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 0, 1.0f }
#define FD_UPDATE_DEFAULTS \
  { sizeof(fd_update), NULL, NULL, { NULL, NULL }, NULL, { NULL, NULL }, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, \
    NULL, NULL, 1, 0, 1.0f }
#define FD_LAYER_DEFAULTS { 0, FD_ACTIVATION_IDENTITY, NULL, NULL, NULL }
#define FD_NETWORK_OPTIONS_DEFAULTS \
  { sizeof(fd_network_options), 0, NULL, 0, sizeof(fd_layer), FD_COST_QUADRATIC, FD_ISA_BEST, FD_SUMMATION_AUTO, 0, NULL, \
    NULL, NULL, NULL, 0, NULL, NULL, 0, 0 }

/** Rows one behind the other, to read. */
static inline fd_matrix fd_rows(const float *data, size_t rows, size_t cols) {
  fd_matrix matrix;
  matrix.data = data;
  matrix.rows = rows;
  matrix.cols = cols;
  matrix.row_stride = cols;
  matrix.col_stride = 1;
  return matrix;
}

/** Rows one behind the other, to write. */
static inline fd_matrix_mut fd_rows_mut(float *data, size_t rows, size_t cols) {
  fd_matrix_mut matrix;
  matrix.data = data;
  matrix.rows = rows;
  matrix.cols = cols;
  matrix.row_stride = cols;
  matrix.col_stride = 1;
  return matrix;
}

#endif
