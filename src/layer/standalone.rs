//! The activations on their own, over plain slices.

use super::Saved;
use crate::activation::Activation;
use crate::error::{Error, Operand};
use crate::isa::{self, Isa, Kernels};
use crate::kernel::elementwise::{DzRows, Rows};
use crate::matrix::Input;

impl Activation {
    /// The same, if its parameter is valid.
    ///
    /// # Errors
    /// [`Error::ActivationParameter`] where it is not.
    pub(super) fn checked(self) -> Result<Self, Error> {
        if self.is_valid() { Ok(self) } else { Err(Error::ActivationParameter { found: self }) }
    }

    /// `a = g(z)`, element by element, with the kernels that layers use.
    ///
    /// ```
    /// use fused_dense::Activation;
    /// let mut a = [0.0; 3];
    /// Activation::Sigmoid.forward(&[-200.0, 0.0, 200.0], &mut a)?;
    /// assert_eq!(a, [0.0, 0.5, 1.0]);
    /// # Ok::<(), fused_dense::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Length`] where `a` is not as long as `z`, and what is wrong with the parameter or the instruction set.
    pub fn forward(self, z: &[f32], a: &mut [f32]) -> Result<(), Error> {
        self.checked()?.forward_on(isa::select_default()?.kernels, z, a)
    }

    /// [`forward`](Self::forward) on no instruction set above `cap`.
    ///
    /// # Errors
    /// As [`forward`](Self::forward).
    pub fn forward_with_isa(self, cap: Isa, z: &[f32], a: &mut [f32]) -> Result<(), Error> {
        self.checked()?.forward_on(isa::select(cap)?.kernels, z, a)
    }

    fn forward_on(self, kernels: &Kernels, z: &[f32], a: &mut [f32]) -> Result<(), Error> {
        check_len(Operand::A, z.len(), a.len())?;
        let (rows, cols, dst) = (1, z.len(), a.as_mut_ptr());
        let (src, parameter) = (z.as_ptr(), self.parameter());
        let rows = Rows { rows, cols, src, src_row_stride: cols, dst, dst_row_stride: cols, parameter };
        // SAFETY: `select` returned the kernels; both slices have `cols` elements and do not overlap.
        unsafe { kernels.activate[self.index()](&rows) };
        Ok(())
    }

    /// `dz = dA ⊙ g'(z)`, element by element, with the kernels that layers use; `saved` is `&a`, or
    /// [`Saved::z`]`(&z)`, as a plain slice or a view of contiguous rows.
    ///
    /// # Errors
    /// [`Error::Length`] where `saved` or `d_z` is not as long as `d_a`, [`Error::NotASlice`] where `saved` is
    /// a view with gaps or of columns, [`Error::NeedsZ`] where it is `a` and the derivative
    /// [needs `z`](Self::needs_z), and what is wrong with the parameter or the instruction set.
    pub fn backward<'a>(self, saved: impl Into<Saved<'a>>, d_a: &[f32], d_z: &mut [f32]) -> Result<(), Error> {
        self.checked()?.backward_on(isa::select_default()?.kernels, saved.into(), d_a, d_z)
    }

    /// [`backward`](Self::backward) on no instruction set above `cap`.
    ///
    /// # Errors
    /// As [`backward`](Self::backward).
    pub fn backward_with_isa<'a>(
        self,
        cap: Isa,
        saved: impl Into<Saved<'a>>,
        d_a: &[f32],
        d_z: &mut [f32],
    ) -> Result<(), Error> {
        self.checked()?.backward_on(isa::select(cap)?.kernels, saved.into(), d_a, d_z)
    }

    fn backward_on(self, kernels: &Kernels, saved: Saved<'_>, d_a: &[f32], d_z: &mut [f32]) -> Result<(), Error> {
        let cols = d_a.len();
        let (kernel, saved, operand): (_, Input<'_>, _) = match saved {
            Saved::A(a) => (kernels.dz_from_a[self.index()].ok_or(Error::NeedsZ { found: self })?, a, Operand::A),
            Saved::Z(z) => (kernels.dz_from_z[self.index()], z, Operand::Z),
        };
        let saved = saved.as_slice(operand)?;
        check_len(operand, cols, saved.len())?;
        check_len(Operand::DZ, cols, d_z.len())?;
        let call = DzRows {
            rows: 1,
            cols,
            upstream: d_a.as_ptr(),
            upstream_row_stride: cols,
            saved: saved.as_ptr(),
            saved_row_stride: cols,
            dz: d_z.as_mut_ptr(),
            dz_row_stride: cols,
            parameter: self.parameter(),
            db: None,
            scale: 1.0,
            add: false,
        };
        // SAFETY: `select` returned the kernels; all three slices have `cols` elements, and `d_z` overlaps neither.
        unsafe { kernel(&call) };
        Ok(())
    }
}

fn check_len(operand: Operand, expected: usize, found: usize) -> Result<(), Error> {
    if found == expected { Ok(()) } else { Err(Error::Length { operand, expected, found }) }
}
