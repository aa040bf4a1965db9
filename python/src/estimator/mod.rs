//! The wishes of scikit-learn's estimators: all that they ask of a network beyond what it offers to everyone.

mod data;
mod epoch;
mod finite;
mod loss;
mod loss_and_gradient;
mod precision;
mod predict_rows;
mod single_epoch;
mod singles;
mod solver;
mod train;

pub(crate) use finite::_are_finite_singles;
