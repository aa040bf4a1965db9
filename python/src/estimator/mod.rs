//! What scikit-learn's estimators ask of a network, beyond what it offers to all.

mod data;
mod epoch;
mod loss;
mod loss_and_gradient;
mod predict_rows;
mod solver;
mod train;
