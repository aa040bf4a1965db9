//! What scikit-learn's estimators ask of a network, beyond what it offers to all.

mod data;
mod epoch;
mod finite;
mod loss;
mod loss_and_gradient;
mod predict_rows;
mod single_epoch;
mod singles;
mod solver;
mod train;
