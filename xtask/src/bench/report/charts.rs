//! Shared by the charts: SVG text, colours, labels.

use anyhow::{Result, anyhow};
use plotters::coord::Shift;
use plotters::element::{Drawable, PointCollection};
use plotters::prelude::{Color, DrawingArea, IntoDrawingArea, IntoFont, RGBColor, SVGBackend, Text, TextStyle, WHITE};
use plotters::style::text_anchor::{HPos, Pos, VPos};

/// Colours that are told apart by people who see colours differently, too (Okabe and Ito), and a few beyond.
pub const PALETTE: [RGBColor; 12] = [
    RGBColor(0, 0, 0),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
    RGBColor(0, 158, 115),
    RGBColor(213, 94, 0),
    RGBColor(0, 114, 178),
    RGBColor(204, 121, 167),
    RGBColor(140, 140, 140),
    RGBColor(190, 170, 20),
    RGBColor(110, 60, 150),
    RGBColor(120, 90, 60),
    RGBColor(20, 190, 190),
];

/// Colour of our own points.
pub const OURS: RGBColor = RGBColor(200, 30, 60);

/// Grounds on which ours is faster, and slower.
pub const FASTER: RGBColor = RGBColor(232, 246, 235);
pub const SLOWER: RGBColor = RGBColor(252, 238, 236);

pub type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// Draws into a string.
pub fn svg(size: (u32, u32), draw: impl FnOnce(&Area<'_>) -> Result<()>) -> Result<String> {
    let mut text = String::new();
    {
        let area = SVGBackend::with_string(&mut text, size).into_drawing_area();
        area.fill(&WHITE).map_err(failed)?;
        draw(&area)?;
        area.present().map_err(failed)?;
    }
    Ok(text)
}

/// Drawing into a string only fails where a range makes no sense.
pub fn failed(error: impl std::fmt::Display) -> anyhow::Error {
    anyhow!("cannot draw: {error}")
}

/// Draws an element at pixels.
pub fn draw<'a, E>(area: &Area<'a>, element: &E) -> Result<()>
where
    for<'e> &'e E: PointCollection<'e, (i32, i32)>,
    E: Drawable<SVGBackend<'a>>,
{
    area.draw(element).map_err(failed)
}

/// A line of text whose middle is at a height, and that begins, ends or has its middle at a place across.
pub fn text(
    text: &str,
    at: (i32, i32),
    size: u32,
    across: HPos,
    colour: RGBColor,
) -> Text<'static, (i32, i32), String> {
    Text::new(text.to_string(), at, style(size, across, colour))
}

/// How text is written.
pub fn style(size: u32, across: HPos, colour: RGBColor) -> TextStyle<'static> {
    let style: TextStyle<'static> =
        TextStyle::from(("sans-serif", size).into_font()).pos(Pos::new(across, VPos::Center));
    TextStyle { color: colour.to_backend_color(), ..style }
}
