//! Operands that a backward pass has whether it updates the weights or not.

use super::backward::FD_ADD_TO_D_A_PREV;
use crate::matrix::{Use, fd_matrix, fd_matrix_mut, one_of};
use crate::overlap::Operands;
use crate::status::{Failure, fd_status::*};
use fused_dense::{MatrixView, MatrixViewMut, Saved, Upstream};

/// The fields that the structures of both calls have by these names.
pub(super) struct Pass {
    pub(super) a_prev: *const fd_matrix,
    pub(super) saved_a: *const fd_matrix,
    pub(super) saved_z: *const fd_matrix,
    pub(super) from_d_a: *const fd_matrix,
    pub(super) from_d_z: *const fd_matrix,
    pub(super) from_targets: *const fd_matrix,
    pub(super) d_a_prev: *const fd_matrix_mut,
    pub(super) d_z: *const fd_matrix_mut,
    pub(super) add: u32,
    pub(super) scale: f32,
}

/// The operands as the library takes them.
pub(super) struct Checked<'a> {
    pub(super) a_prev: MatrixView<'a>,
    pub(super) saved: Saved<'a>,
    pub(super) upstream: Upstream<MatrixView<'a>>,
    pub(super) d_a_prev: Option<Place<'a>>,
    pub(super) d_z: Option<MatrixViewMut<'a>>,
}

/// The place of a gradient.
pub(super) enum Place<'a> {
    Overwrite(MatrixViewMut<'a>),
    AddTo(MatrixViewMut<'a>),
}

impl Pass {
    /// Reads all operands, and tells whether the flags are among the known ones and the scale is a factor.
    ///
    /// # Safety
    /// Pointers are null or valid, and so is every element of a matrix.
    pub(super) unsafe fn read<'a>(&self, operands: &mut Operands, known_flags: u32) -> Result<Checked<'a>, Failure> {
        check_scale(self.scale)?;
        check_flags(self.add, known_flags)?;
        // SAFETY: the caller vouches for all of them.
        unsafe {
            Ok(Checked {
                a_prev: operands.input("a_prev", self.a_prev)?,
                saved: self.saved(operands)?,
                upstream: self.upstream(operands)?,
                d_a_prev: place(operands, "d_a_prev", self.d_a_prev, self.add & FD_ADD_TO_D_A_PREV != 0)?,
                d_z: operands.optional_output("d_z", self.d_z, Use::Overwrite)?,
            })
        }
    }

    /// The operand that the forward pass saved.
    ///
    /// # Safety
    /// As [`read`](Self::read).
    unsafe fn saved<'a>(&self, operands: &mut Operands) -> Result<Saved<'a>, Failure> {
        // SAFETY: the caller vouches for both.
        let (a, z) = unsafe {
            (operands.optional_input("saved_a", self.saved_a)?, operands.optional_input("saved_z", self.saved_z)?)
        };
        one_of(&["saved_a", "saved_z"], [a.map(Saved::from), z.map(Saved::z)])
    }

    /// The gradient that comes from above.
    ///
    /// # Safety
    /// As [`read`](Self::read).
    unsafe fn upstream<'a>(&self, operands: &mut Operands) -> Result<Upstream<MatrixView<'a>>, Failure> {
        // SAFETY: the caller vouches for all of them.
        let (d_a, d_z, targets) = unsafe {
            (
                operands.optional_input("from_d_a", self.from_d_a)?,
                operands.optional_input("from_d_z", self.from_d_z)?,
                operands.optional_input("from_targets", self.from_targets)?,
            )
        };
        let given = [d_a.map(Upstream::Activation), d_z.map(Upstream::PreActivation), targets.map(Upstream::Targets)];
        one_of(&["from_d_a", "from_d_z", "from_targets"], given)
    }
}

/// Where a gradient goes; none where it is not wanted.
///
/// # Safety
/// As [`Pass::read`].
pub(super) unsafe fn place<'a>(
    operands: &mut Operands,
    name: &'static str,
    matrix: *const fd_matrix_mut,
    adds: bool,
) -> Result<Option<Place<'a>>, Failure> {
    let how = if adds { Use::Change } else { Use::Overwrite };
    // SAFETY: the caller vouches for it.
    let matrix = unsafe { operands.optional_output(name, matrix, how)? };
    Ok(matrix.map(if adds { Place::AddTo } else { Place::Overwrite }))
}

/// A factor of 0 makes all gradients 0: who gives it has not begun with the structure's defaults.
fn check_scale(scale: f32) -> Result<(), Failure> {
    if scale.is_finite() && scale != 0.0 {
        return Ok(());
    }
    Err(Failure::new(FD_ERROR_SETTING, format!("expected scale to be a finite number other than 0, found {scale}")))
}

fn check_flags(add: u32, known: u32) -> Result<(), Failure> {
    if add & !known == 0 {
        return Ok(());
    }
    Err(Failure::of("add", FD_ERROR_ENUM, format!("expected flags among {known:#x}, found {add:#x}")))
}
