//! The roofline: operations per byte against operations per second.

use super::charts::{OURS, failed, style, svg};
use crate::bench::run::{Row, Run, count};
use crate::bench::shape::Pass;
use crate::machine::Ceilings;
use anyhow::Result;
use plotters::prelude::{
    BLACK, ChartBuilder, Circle, Color, EmptyElement, IntoLogRange, LineSeries, RGBColor, SeriesLabelPosition, Text,
    TriangleMarker, WHITE,
};
use plotters::style::text_anchor::HPos;

const PEERS: RGBColor = RGBColor(130, 130, 130);

/// Rows on the roofline of a number of threads.
///
/// # Errors
/// Where it cannot be drawn.
pub fn roofline(run: &Run, ceilings: &Ceilings) -> Result<String> {
    let rows = || run.rows.iter().filter(|row| row.threads == ceilings.threads);
    let intensity = |row: &Row| row.pass.flops(&row.network) / row.pass.bytes(&row.network, row.recipe);
    let peer_speed = |row: &Row| Some(row.gflops() * row.nanoseconds / row.best_peer()?.nanoseconds);
    let left = rows().map(intensity).fold(1.0, f64::min) / 2.0;
    let right = rows().map(intensity).fold(10.0, f64::max) * 2.0;
    let top = ceilings.peak_gflops * 1.8;
    let bottom =
        rows().flat_map(|row| [Some(row.gflops()), peer_speed(row)]).flatten().fold(top / 100.0, f64::min) / 1.5;
    svg((980, 560), |area| {
        let caption = format!("Roofline, {}", count(ceilings.threads));
        let mut chart = ChartBuilder::on(area)
            .caption(caption, ("sans-serif", 18))
            .margin(14)
            .x_label_area_size(46)
            .y_label_area_size(70)
            .build_cartesian_2d((left..right).log_scale(), (bottom..top).log_scale())
            .map_err(failed)?;
        chart
            .configure_mesh()
            .x_desc("intensity: operations per byte of the operands")
            .y_desc("speed: GFLOP/s")
            .axis_desc_style(("sans-serif", 14))
            .label_style(("sans-serif", 13))
            .bold_line_style(BLACK.mix(0.12))
            .light_line_style(WHITE)
            .x_label_formatter(&|value| format!("{value}"))
            .y_label_formatter(&|value| format!("{value}"))
            .draw()
            .map_err(failed)?;
        for level in &ceilings.levels {
            let at = |intensity: f64| (intensity, (intensity * level.gbytes_per_second).min(ceilings.peak_gflops));
            // From where it comes into the picture to the flat roof, which is drawn once.
            let start = left.max(bottom / level.gbytes_per_second);
            let ridge = ceilings.peak_gflops / level.gbytes_per_second;
            if ridge <= start {
                continue;
            }
            chart.draw_series(LineSeries::new([at(start), at(ridge)], BLACK.mix(0.55))).map_err(failed)?;
            let name = format!("{} {:.0} GB/s", level.name, level.gbytes_per_second);
            // Below the lower end of its line, away from the crowd near the roof.
            let label = style(12, HPos::Left, BLACK);
            let text = EmptyElement::at(at(start)) + Text::new(name, (10, 6), label);
            chart.plotting_area().draw(&text).map_err(failed)?;
        }
        let roof = [(left, ceilings.peak_gflops), (right, ceilings.peak_gflops)];
        chart.draw_series(LineSeries::new(roof, BLACK.mix(0.8))).map_err(failed)?;
        let peak = format!("multiply-adds {:.0} GFLOP/s", ceilings.peak_gflops);
        let text = EmptyElement::at(roof[1]) + Text::new(peak, (-8, -12), style(12, HPos::Right, BLACK));
        chart.plotting_area().draw(&text).map_err(failed)?;

        let mut series = |name: &str, colour: RGBColor, speed: &dyn Fn(&Row) -> Option<f64>| -> Result<()> {
            let point = |row: &Row| Some((intensity(row), speed(row)?));
            let of = |pass: Pass| rows().filter(move |row| row.pass == pass).filter_map(point).collect::<Vec<_>>();
            for (pass, points) in [Pass::Forward, Pass::Backward, Pass::Step, Pass::Epoch].map(|pass| (pass, of(pass)))
            {
                if points.is_empty() {
                    continue;
                }
                let label = format!("{name}, {pass}");
                match pass {
                    Pass::Forward => chart
                        .draw_series(points.into_iter().map(|at| Circle::new(at, 5, colour.mix(0.75).filled())))
                        .map_err(failed)?
                        .label(label)
                        .legend(move |(x, y)| Circle::new((x + 8, y), 5, colour.filled())),
                    Pass::Backward => chart
                        .draw_series(points.into_iter().map(|at| TriangleMarker::new(at, 6, colour.mix(0.75).filled())))
                        .map_err(failed)?
                        .label(label)
                        .legend(move |(x, y)| TriangleMarker::new((x + 8, y), 6, colour.filled())),
                    Pass::Step | Pass::Epoch => chart
                        .draw_series(points.into_iter().map(|at| Circle::new(at, 5, colour.stroke_width(2))))
                        .map_err(failed)?
                        .label(label)
                        .legend(move |(x, y)| Circle::new((x + 8, y), 5, colour.stroke_width(2))),
                };
            }
            Ok(())
        };
        series("best peer", PEERS, &peer_speed)?;
        series("fused-dense", OURS, &|row| Some(row.gflops()))?;
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::LowerRight)
            .label_font(("sans-serif", 13))
            .background_style(WHITE.mix(0.9))
            .border_style(BLACK.mix(0.3))
            .draw()
            .map_err(failed)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::run::tests::sample;

    #[test]
    fn the_picture_names_what_it_shows() {
        let run = sample();
        let picture = roofline(&run, &run.ceilings(1).unwrap()).unwrap();
        for text in ["L2 200 GB/s", "best peer, backward", "fused-dense, forward", "GFLOP/s", "operations per byte"] {
            assert!(picture.contains(text), "{text}");
        }
        assert!(!picture.contains("step"));
    }
}
