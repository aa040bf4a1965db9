//! Which kernels of products this thread has run, for tests of what descriptions say.

use super::{Name, Operation};
use core::cell::RefCell;

thread_local! {
    static RAN: RefCell<Vec<Name>> = const { RefCell::new(Vec::new()) };
}

/// Notes that a kernel runs.
pub(crate) fn record(operation: Operation, rows: usize, cols: usize, isa: &'static str) {
    RAN.with_borrow_mut(|ran| ran.push(Name { operation, rows, cols, isa }));
}

/// The kernels that have run since the last question.
pub(crate) fn take() -> Vec<Name> {
    RAN.take()
}
