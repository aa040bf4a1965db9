//! The fuzz targets' use of their bytes: each module makes a case of them and checks it.

pub mod layer;
pub mod network;
pub mod team;
pub mod view;

mod pick;
#[path = "../../tests/support/mod.rs"]
mod support;
mod tally;
mod teams;

use arbitrary::Unstructured;

/// Whether a case shared work with other threads.
pub type Shared = bool;

/// Checks the case that the bytes make, and counts it.
pub fn run(data: &[u8], check: fn(&mut Unstructured<'_>) -> arbitrary::Result<Shared>) {
    // Bytes that make no case are none.
    if let Ok(shared) = check(&mut Unstructured::new(data)) {
        tally::count(shared);
    }
}
