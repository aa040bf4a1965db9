//! Reports made from a run: an HTML page, and the table in the README.

mod charts;
mod html;
mod readme;

pub use html::write as write_html;
pub use readme::refresh as refresh_readme;
