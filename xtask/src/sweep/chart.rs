//! Speed by size, as bars on the terminal.

use anstream::println;

const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// Values in one line.
const LINE: usize = 65;

/// Prints operations a second at the values 1, 2, 3 …: a bar for each, the full one for the fastest.
pub fn print(work: &[f64], times: &[f64]) {
    let speeds: Vec<f64> = work.iter().zip(times).map(|(work, time)| work / time).collect();
    let fastest = speeds.iter().copied().fold(0.0, f64::max);
    for (index, line) in speeds.chunks(LINE).enumerate() {
        println!("{:>5} {}", index * LINE + 1, bars(line, fastest));
    }
    println!("      each █ is {fastest:.0} GFLOP/s");
}

fn bars(speeds: &[f64], fastest: f64) -> String {
    let bar = |speed: &f64| BARS[((speed / fastest * BARS.len() as f64).ceil() as usize).clamp(1, BARS.len()) - 1];
    speeds.iter().map(bar).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_grow_with_speed() {
        assert_eq!(bars(&[0.0, 1.0, 12.4, 12.6, 50.0, 100.0], 100.0), "▁▁▁▂▄█");
    }
}
