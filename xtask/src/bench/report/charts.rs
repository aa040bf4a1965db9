//! The charts, as SVG text.

use crate::bench::run::{Row, Run};
use crate::bench::shape::Pass;
use crate::machine::Ceilings;
use anyhow::{Result, anyhow};
use plotters::coord::Shift;
use plotters::prelude::{
    BLACK, ChartBuilder, Circle, Color, DrawingArea, EmptyElement, IntoDrawingArea, IntoFont, IntoLogRange, LineSeries,
    PathElement, RGBColor, SVGBackend, SeriesLabelPosition, Text, TextStyle, TriangleMarker, WHITE,
};
use plotters::style::text_anchor::{HPos, Pos, VPos};

/// Colours that are told apart by people who see colours differently, too (Okabe and Ito), and a few beyond.
const PALETTE: [RGBColor; 10] = [
    RGBColor(0, 0, 0),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
    RGBColor(0, 158, 115),
    RGBColor(240, 228, 66),
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(204, 121, 167),
    RGBColor(140, 140, 140),
    RGBColor(120, 90, 60),
];

/// Colour of our own points.
const OURS: RGBColor = RGBColor(200, 30, 60);

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// Draws into a string.
fn svg(size: (u32, u32), draw: impl FnOnce(&Area<'_>) -> Result<()>) -> Result<String> {
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
fn failed(error: impl std::fmt::Display) -> anyhow::Error {
    anyhow!("cannot draw: {error}")
}

/// Ratios beyond these are drawn at the edge.
const SHOWN: (f64, f64) = (0.4, 4.0);

/// Each row's peers by the ratio of their time to ours, on a logarithmic axis.
///
/// # Errors
/// Where it cannot be drawn.
pub fn ratios(run: &Run) -> Result<String> {
    const WIDTH: u32 = 960;
    const LEGEND: u32 = 150;
    const ROW_HEIGHT: u32 = 22;
    let (lowest, highest) = (SHOWN.0 / 1.05, SHOWN.1 * 1.05);
    let count = run.rows.len();
    let rows_height = ROW_HEIGHT * count.max(run.peers.len()) as u32;
    svg((WIDTH, 100 + rows_height), |area| {
        let (area, legend) = area.split_horizontally(WIDTH - LEGEND);
        let mut chart = ChartBuilder::on(&area)
            .caption("Peer's time by ours, from 0.4× to 4×: right of 1, ours is faster", ("sans-serif", 18))
            .margin(12)
            .x_label_area_size(32)
            .y_label_area_size(200)
            .build_cartesian_2d((lowest..highest).log_scale(), -0.5..count as f64 - 0.5)
            .map_err(failed)?;
        chart
            .configure_mesh()
            .disable_y_mesh()
            .disable_y_axis()
            .y_labels(0)
            .x_label_formatter(&|ratio| format!("{ratio:.1}×"))
            .light_line_style(WHITE)
            .draw()
            .map_err(failed)?;
        chart.draw_series(LineSeries::new([(1.0, -0.5), (1.0, count as f64 - 0.5)], BLACK)).map_err(failed)?;

        let label = TextStyle::from(("sans-serif", 13).into_font()).pos(Pos::new(HPos::Right, VPos::Center));
        for (index, row) in run.rows.iter().enumerate() {
            let at = (count - 1 - index) as f64;
            let element = EmptyElement::at((lowest, at)) + Text::new(row_label(row), (-8, 0), label.clone());
            chart.plotting_area().draw(&element).map_err(failed)?;
            chart.draw_series(LineSeries::new([(lowest, at), (highest, at)], BLACK.mix(0.1))).map_err(failed)?;
        }
        for (index, peer) in run.peers.iter().enumerate() {
            let colour = PALETTE[index % PALETTE.len()];
            let points = run.rows.iter().enumerate().filter_map(|(row_index, row)| {
                let ratio = row.peer(&peer.name)?.ratio.median.clamp(SHOWN.0, SHOWN.1);
                Some(Circle::new((ratio, (count - 1 - row_index) as f64), 5, colour.mix(0.85).filled()))
            });
            chart.draw_series(points).map_err(failed)?;
            let at = (8, 50 + 20 * index as i32);
            let left = TextStyle::from(("sans-serif", 13).into_font()).pos(Pos::new(HPos::Left, VPos::Center));
            let line = EmptyElement::at(at)
                + Circle::new((0, 0), 5, colour.filled())
                + Text::new(peer.name.clone(), (12, 0), left);
            legend.draw(&line).map_err(failed)?;
        }
        Ok(())
    })
}

/// What a row is about, in a chart's margin.
fn row_label(row: &Row) -> String {
    let threads = if row.threads == 1 { String::new() } else { format!(" {}T", row.threads) };
    format!("{} {}{threads}", row.shape, row.pass)
}

/// Rows on the roofline: operations per byte against operations per second.
///
/// # Errors
/// Where it cannot be drawn.
pub fn roofline(run: &Run, ceilings: &Ceilings) -> Result<String> {
    let rows = || run.rows.iter().filter(|row| row.threads == ceilings.threads);
    let intensity = |row: &Row| row.pass.flops(&row.shape) / row.pass.bytes(&row.shape);
    let left = rows().map(intensity).fold(1.0, f64::min) / 2.0;
    let right = rows().map(intensity).fold(10.0, f64::max) * 2.0;
    let top = ceilings.peak_gflops * 1.6;
    let bottom = rows().map(Row::gflops).fold(top / 100.0, f64::min) / 2.0;
    svg((960, 520), |area| {
        let caption = format!("Roofline of {} thread(s)", ceilings.threads);
        let mut chart = ChartBuilder::on(area)
            .caption(caption, ("sans-serif", 18))
            .margin(12)
            .x_label_area_size(42)
            .y_label_area_size(60)
            .build_cartesian_2d((left..right).log_scale(), (bottom..top).log_scale())
            .map_err(failed)?;
        chart
            .configure_mesh()
            .x_desc("operations per byte of the operands")
            .y_desc("GFLOP/s")
            .light_line_style(WHITE)
            .x_label_formatter(&|value| format!("{value}"))
            .y_label_formatter(&|value| format!("{value}"))
            .draw()
            .map_err(failed)?;
        for level in &ceilings.levels {
            let at = |intensity: f64| (intensity, (intensity * level.gbytes_per_second).min(ceilings.peak_gflops));
            let ridge = (ceilings.peak_gflops / level.gbytes_per_second).clamp(left, right);
            chart.draw_series(LineSeries::new([at(left), at(ridge), at(right)], BLACK.mix(0.5))).map_err(failed)?;
            let name = format!("{} {:.0} GB/s", level.name, level.gbytes_per_second);
            let start = (left * 1.05).max(bottom / level.gbytes_per_second);
            let text = EmptyElement::at(at(start)) + Text::new(name, (2, -14), ("sans-serif", 12).into_font());
            chart.plotting_area().draw(&text).map_err(failed)?;
        }
        let mut series = |name: &str, colour: RGBColor, speed: &dyn Fn(&Row) -> Option<f64>| -> Result<()> {
            let point = |row: &Row| Some((intensity(row), speed(row)?));
            let of = |pass: Pass| rows().filter(move |row| row.pass == pass).filter_map(point);
            let forward = of(Pass::Forward).map(|at| Circle::new(at, 5, colour.mix(0.7).filled()));
            chart
                .draw_series(forward)
                .map_err(failed)?
                .label(format!("{name}, forward"))
                .legend(move |(x, y)| Circle::new((x + 8, y), 5, colour.filled()));
            let backward = of(Pass::Backward).map(|at| TriangleMarker::new(at, 6, colour.mix(0.7).filled()));
            chart
                .draw_series(backward)
                .map_err(failed)?
                .label(format!("{name}, backward"))
                .legend(move |(x, y)| TriangleMarker::new((x + 8, y), 6, colour.filled()));
            Ok(())
        };
        series("best peer", RGBColor(120, 120, 120), &|row| {
            Some(row.pass.flops(&row.shape) / row.best_peer()?.nanoseconds)
        })?;
        series("fused-dense", OURS, &|row| Some(row.gflops()))?;
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::LowerRight)
            .background_style(WHITE.mix(0.85))
            .border_style(BLACK.mix(0.3))
            .draw()
            .map_err(failed)?;
        let frame = PathElement::new([(left, ceilings.peak_gflops), (right, ceilings.peak_gflops)], BLACK);
        chart.plotting_area().draw(&frame).map_err(failed)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::run::tests::sample;

    #[test]
    fn charts_name_what_they_show() {
        let run = sample();
        let ratios = ratios(&run).unwrap();
        assert!(ratios.starts_with("<svg") && ratios.contains("32×784→100 forward") && ratios.contains("faer"));
        let roofline = roofline(&run, &run.machine.ceilings[0]).unwrap();
        assert!(roofline.contains("L2 200 GB/s") && roofline.contains("best peer, backward"));
    }
}
