//! The chart of ratios: a line for each row, a mark for each peer.

use super::charts::{Area, FASTER, PALETTE, SLOWER, draw, svg, text};
use crate::bench::run::{Kind, PeerTime, Row, Run};
use anyhow::Result;
use plotters::prelude::{BLACK, Circle, Color, PathElement, RGBColor, Rectangle, TriangleMarker, WHITE};
use plotters::style::text_anchor::HPos;

/// Ratios beyond these are drawn at the edge.
const SHOWN: (f64, f64) = (0.5, 6.0);

/// Ratios that are marked on the axis.
const TICKS: [f64; 11] = [0.5, 0.6, 0.7, 0.8, 1.0, 1.25, 1.5, 2.0, 3.0, 4.0, 6.0];

/// Widths of the plot, of the legend beside it, and of a character of a row's name.
const PLOT: i32 = 540;
const LEGEND: i32 = 190;
const CHARACTER: i32 = 8;
/// Height of a line.
const LINE: i32 = 20;
/// Where the first line begins.
const TOP: i32 = 64;

/// One line of the chart.
enum Line<'a> {
    /// The kind of the rows that follow.
    Heading(String),
    Row(&'a Row),
}

/// A heading for each kind, then its rows as they were measured.
fn lines<'a>(run: &'a Run, kinds: &[Kind]) -> Vec<Line<'a>> {
    let mut lines = Vec::new();
    for kind in kinds {
        let mut rows = run.rows.iter().filter(|row| row.kind() == *kind && !row.peers.is_empty()).peekable();
        if rows.peek().is_some() {
            lines.push(Line::Heading(kind.to_string()));
            lines.extend(rows.map(Line::Row));
        }
    }
    lines
}

/// The peers of each row of these kinds by the ratio of their time to ours, on a logarithmic axis.
///
/// # Errors
/// Where it cannot be drawn.
pub fn ratios(run: &Run, kinds: &[Kind]) -> Result<String> {
    let lines = lines(run, kinds);
    let took_part = |name: &str| lines.iter().any(|line| matches!(line, Line::Row(row) if row.peer(name).is_some()));
    // A peer's colour is the same in all charts of a run.
    let peers: Vec<(&str, RGBColor)> = run
        .peers
        .iter()
        .enumerate()
        .map(|(index, peer)| (peer.name.as_str(), PALETTE[index % PALETTE.len()]))
        .filter(|(name, _)| took_part(name))
        .collect();
    let bottom = TOP + LINE * lines.len().max(peers.len() + 2) as i32;
    let plot = Plot::beside(&lines);
    svg(((plot.right + LEGEND) as u32, bottom as u32 + 50), |area| {
        let title = "The peer's time by ours: right of 1×, ours is faster";
        draw(area, &text(title, (plot.middle(), 24), 18, HPos::Center, BLACK))?;
        plot.axis(area, bottom)?;
        for (index, line) in lines.iter().enumerate() {
            let y = TOP + LINE * index as i32 + LINE / 2;
            match line {
                Line::Heading(kind) => {
                    let corners = [(plot.left, y - LINE / 2), (plot.right, y + LINE / 2)];
                    draw(area, &Rectangle::new(corners, WHITE.filled()))?;
                    draw(area, &text(kind, (plot.left + 6, y), 13, HPos::Left, BLACK))?;
                }
                Line::Row(row) => plot.row_marks(area, row, &peers, y)?,
            }
        }
        plot.legend(area, &peers)
    })
}

/// Where the plot begins and ends across.
struct Plot {
    left: i32,
    right: i32,
}

impl Plot {
    /// With room for the rows' names on its left.
    fn beside(lines: &[Line<'_>]) -> Self {
        let name = |line: &Line<'_>| match line {
            Line::Heading(_) => 0,
            Line::Row(row) => row.network.to_string().chars().count() as i32,
        };
        let left = 20 + CHARACTER * lines.iter().map(name).max().unwrap_or(0);
        Self { left, right: left + PLOT }
    }

    fn middle(&self) -> i32 {
        (self.left + self.right) / 2
    }

    fn x_of(&self, ratio: f64) -> i32 {
        let share = (ratio / SHOWN.0).ln() / (SHOWN.1 / SHOWN.0).ln();
        // Room for half a mark on both sides.
        self.left + 8 + (share.clamp(0.0, 1.0) * f64::from(PLOT - 16)).round() as i32
    }

    fn axis(&self, area: &Area<'_>, bottom: i32) -> Result<()> {
        draw(area, &Rectangle::new([(self.left, TOP), (self.x_of(1.0), bottom)], SLOWER.filled()))?;
        draw(area, &Rectangle::new([(self.x_of(1.0), TOP), (self.right, bottom)], FASTER.filled()))?;
        for ratio in TICKS {
            let x = self.x_of(ratio);
            let shade = if ratio == 1.0 { BLACK.mix(0.8) } else { BLACK.mix(0.12) };
            draw(area, &PathElement::new([(x, TOP), (x, bottom)], shade))?;
            for y in [TOP - 10, bottom + 10] {
                draw(area, &text(&format!("{ratio}×"), (x, y), 12, HPos::Center, BLACK))?;
            }
        }
        let note = "logarithmic; triangles at the edges stand for ratios beyond; ringed: the best peer";
        draw(area, &text(note, (self.middle(), bottom + 32), 12, HPos::Center, BLACK))
    }

    fn row_marks(&self, area: &Area<'_>, row: &Row, peers: &[(&str, RGBColor)], y: i32) -> Result<()> {
        draw(area, &text(&row.network.to_string(), (self.left - 8, y), 13, HPos::Right, BLACK))?;
        draw(area, &PathElement::new([(self.left, y), (self.right, y)], BLACK.mix(0.08)))?;
        let best = row.best_peer().map(|peer| peer.name.as_str());
        // The best peer on top of the others.
        let mut marks: Vec<(&PeerTime, RGBColor)> =
            peers.iter().filter_map(|&(name, colour)| Some((row.peer(name)?, colour))).collect();
        marks.sort_by_key(|(peer, _)| best == Some(peer.name.as_str()));
        for (peer, colour) in marks {
            let ratio = peer.ratio.median;
            let at = (self.x_of(ratio), y);
            if ratio < SHOWN.0 || ratio > SHOWN.1 {
                draw(area, &TriangleMarker::new(at, 6, colour.filled()))?;
            } else {
                draw(area, &Circle::new(at, 5, colour.mix(0.9).filled()))?;
            }
            if best == Some(peer.name.as_str()) {
                draw(area, &Circle::new(at, 7, BLACK.stroke_width(1)))?;
            }
        }
        Ok(())
    }

    fn legend(&self, area: &Area<'_>, peers: &[(&str, RGBColor)]) -> Result<()> {
        for (index, &(name, colour)) in peers.iter().enumerate() {
            let (x, y) = (self.right + 22, TOP + LINE * index as i32 + LINE / 2);
            draw(area, &Circle::new((x, y), 5, colour.filled()))?;
            draw(area, &text(name, (x + 12, y), 13, HPos::Left, BLACK))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::run::tests::sample;

    #[test]
    fn rows_stand_under_their_kinds_and_peers_in_the_legend() {
        let run = sample();
        let picture = ratios(&run, &run.kinds()).unwrap();
        assert!(picture.starts_with("<svg"));
        for text in ["32×784→100", "quick, backward on 1 thread", "faer", "1.25×"] {
            assert!(picture.contains(text), "{text}");
        }
        let forward = ratios(&run, &run.kinds()[..1]).unwrap();
        assert!(forward.contains("quick, forward") && !forward.contains("quick, backward"));
    }

    #[test]
    fn one_lies_between_the_edges_and_what_is_beyond_on_them() {
        let plot = Plot { left: 100, right: 100 + PLOT };
        assert!(plot.x_of(0.5) < plot.x_of(1.0) && plot.x_of(1.0) < plot.x_of(6.0));
        assert_eq!((plot.x_of(0.01), plot.x_of(100.0)), (plot.x_of(0.5), plot.x_of(6.0)));
    }
}
