//! Reports made from a run: an HTML page, and the table in the README.

mod charts;
mod html;
mod ratios;
mod readme;
mod roofline;

pub use html::write as write_html;
pub use readme::refresh as refresh_readme;
