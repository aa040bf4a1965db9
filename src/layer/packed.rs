//! Weights that are packed once and used by many calls.

use super::Dense;
use crate::error::{Error, Operand};
use crate::gemm::packed::{PackedLayout, WeightsSource};
use crate::isa::{Isa, Kernels};
use crate::kernel::Source;
use crate::matrix::Input;
use crate::workspace::Lines;
use core::fmt;

/// The weights of a call: plain, or packed beforehand.
///
/// Anything that is an [`Input`] converts, and so does a reference to [`PackedWeights`]: `&w` and `&packed` are enough.
///
/// ```
/// use fused_dense::{Activation, Dense, Weights};
///
/// let mut layer = Dense::new(2, 1, Activation::Identity);
/// let (x, w, b) = ([1.0, 2.0], [3.0, 4.0], [0.0]);
/// let packed = layer.pack(&w)?;
/// for weights in [Weights::from(&w), Weights::from(&packed)] {
///     let mut a = [0.0];
///     layer.forward(&x, weights, &b, &mut a)?;
///     assert_eq!(a, [11.0]);
/// }
/// # Ok::<(), fused_dense::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Weights<'a> {
    /// As they lie in the caller's memory.
    Plain(Input<'a>),
    /// Packed by [`Dense::pack`].
    Packed(&'a PackedWeights),
}

impl<'a, T: Into<Input<'a>>> From<T> for Weights<'a> {
    fn from(w: T) -> Self {
        Self::Plain(w.into())
    }
}

impl<'a> From<&'a PackedWeights> for Weights<'a> {
    fn from(packed: &'a PackedWeights) -> Self {
        Self::Packed(packed)
    }
}

impl Weights<'_> {
    /// Checks the weights for a call of this layer.
    #[inline(always)]
    pub(super) fn source(&self, layer: &Dense, kernels: &Kernels) -> Result<WeightsSource, Error> {
        match self {
            Self::Plain(w) => Ok(WeightsSource::plain(w.source(Operand::W, layer.outputs, layer.inputs)?)),
            Self::Packed(packed) => packed.source_for(layer, kernels),
        }
    }
}

/// A layer's weights in the order in which the kernels of one instruction set read them.
///
/// Plain weights `[outputs, inputs]` are transposed by every forward call with more than a few samples; packed once, they
/// serve any number of calls, on any number of threads, of every layer with this shape and instruction set. The results
/// are those of the plain weights, to the bit: packed weights count as having the layout that they were packed from.
///
/// They are a copy, in two forms: the matrix with each row on cache lines of its own, for dot products and the backward
/// pass, and transposed into panels. Together that is a little more than `2 · outputs · inputs` elements
/// ([`len`](Self::len)). After each change of the weights they have to be [packed again](Self::repack), which takes about as
/// long as what a plain call spends on the transposition: packing pays where weights are used more than once.
///
/// A small batch whose sums [`Summation::Auto`](crate::Summation::Auto) computes in the lanes order reads the rows, and gains
/// little by packing. In a layer that only ever sees packed weights, [`Summation::Chain`](crate::Summation::Chain) takes less
/// time there where outputs are many: 10×784→512 0.8 of it, 10×784→100 the same.
///
/// ```
/// use fused_dense::{Activation, Dense};
///
/// let mut layer = Dense::new(3, 2, Activation::Sigmoid);
/// let mut w = [0.1, -0.2, 0.3, 0.4, 0.5, -0.6];
/// let (x, b) = ([1.0, 2.0, 3.0], [0.05, 0.1]);
/// let (mut plain, mut packed) = ([0.0; 2], [0.0; 2]);
///
/// let mut packed_w = layer.pack(&w)?;
/// layer.forward(&x, &packed_w, &b, &mut packed)?;
/// layer.forward(&x, &w, &b, &mut plain)?;
/// assert_eq!(packed, plain);
///
/// w[0] = 0.7;
/// packed_w.repack(&w)?; // allocates nothing
/// # Ok::<(), fused_dense::Error>(())
/// ```
#[derive(Clone)]
pub struct PackedWeights {
    outputs: usize,
    inputs: usize,
    kernels: &'static Kernels,
    along_inputs: bool,
    layout: PackedLayout,
    memory: Lines,
}

impl Dense {
    /// Packs `w: outputs × inputs` for calls of this layer, and of every other with this shape and instruction set.
    ///
    /// # Errors
    /// Where `w` has the wrong size or shape, [`Error::TooLarge`] where memory cannot be had, and what is wrong with the
    /// instruction set.
    pub fn pack<'a>(&self, w: impl Into<Input<'a>>) -> Result<PackedWeights, Error> {
        let (outputs, inputs, kernels) = (self.outputs, self.inputs, self.kernels()?);
        let w = w.into().source(Operand::W, outputs, inputs)?;
        let too_large = || Error::TooLarge { operand: Operand::W };
        // Weights packed again may lie along the other axis.
        let layouts = [true, false].map(|along_inputs| layout(kernels, outputs, inputs, along_inputs));
        let mut len = 0;
        for layout in &layouts {
            len = len.max(layout.as_ref().ok_or_else(too_large)?.total());
        }
        let mut packed = PackedWeights {
            outputs,
            inputs,
            kernels,
            along_inputs: true,
            layout: PackedLayout::default(),
            memory: Lines::new(len),
        };
        if packed.memory.len() < len {
            return Err(too_large());
        }
        // SAFETY: the weights were checked against the shape, just above.
        unsafe { packed.fill(w)? };
        Ok(packed)
    }
}

/// The layout of weights that lie contiguous along the inputs or along the outputs.
fn layout(kernels: &Kernels, outputs: usize, inputs: usize, along_inputs: bool) -> Option<PackedLayout> {
    let (rows, terms) = if along_inputs { (outputs, inputs) } else { (inputs, outputs) };
    PackedLayout::new(kernels, rows, terms)
}

impl PackedWeights {
    /// Packs other weights of the same shape, in any layout, into the same memory.
    ///
    /// # Errors
    /// Where `w` has the wrong size or shape; the packed weights are as before then.
    pub fn repack<'a>(&mut self, w: impl Into<Input<'a>>) -> Result<(), Error> {
        let w = w.into().source(Operand::W, self.outputs, self.inputs)?;
        // SAFETY: the weights were checked against the shape, just above; they are borrowed, and this is borrowed exclusively.
        unsafe { self.fill(w) }
    }

    /// # Safety
    /// `w` must be readable at all `outputs × inputs` places, none of them in this memory.
    unsafe fn fill(&mut self, w: Source) -> Result<(), Error> {
        let WeightsSource { matrix, along_inputs, .. } = WeightsSource::plain(w);
        let layout = layout(self.kernels, self.outputs, self.inputs, along_inputs);
        self.layout = layout.ok_or(Error::TooLarge { operand: Operand::W })?;
        self.along_inputs = along_inputs;
        let matrix = if along_inputs { matrix } else { matrix.transposed() };
        // SAFETY: the caller's promise; the layout was made for this shape, and `select` returned the kernels.
        unsafe { self.layout.fill(self.kernels, matrix, self.memory.as_mut_slice()) };
        Ok(())
    }

    fn source_for(&self, layer: &Dense, kernels: &Kernels) -> Result<WeightsSource, Error> {
        let (expected, found) = ((layer.outputs, layer.inputs), (self.outputs, self.inputs));
        if found != expected {
            return Err(Error::Shape { operand: Operand::W, expected, found });
        }
        let (expected, found) = (kernels.isa, self.kernels.isa);
        if found != expected {
            return Err(Error::PackedForIsa { expected, found });
        }
        let memory = self.memory.as_slice();
        let matrix = self.layout.matrix(memory);
        Ok(WeightsSource {
            matrix: if self.along_inputs { matrix } else { matrix.transposed() },
            along_inputs: self.along_inputs,
            panels: Some(self.layout.panels(memory)),
        })
    }

    /// Values in a row of `w`.
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// Rows of `w`.
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// The instruction set that the weights are packed for.
    pub fn isa(&self) -> Isa {
        self.kernels.isa
    }

    /// Elements (`f32`) of memory that they take.
    pub fn len(&self) -> usize {
        self.memory.len()
    }

    /// Whether they take none: without inputs or without outputs.
    pub fn is_empty(&self) -> bool {
        self.memory.len() == 0
    }
}

impl fmt::Debug for PackedWeights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { outputs, inputs, .. } = self;
        write!(f, "PackedWeights({outputs}×{inputs} for {})", self.isa())
    }
}
