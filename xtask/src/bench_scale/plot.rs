//! Lines over a logarithmic axis, as SVG that needs nothing else.

use std::fmt::Write as _;

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 300.0;
const LEFT: f64 = 60.0;
const RIGHT: f64 = 200.0;
const TOP: f64 = 40.0;
const BOTTOM: f64 = 40.0;
/// Lines of the grid, about.
const STEPS: f64 = 5.0;

/// Some lines with one vertical axis, which begins at 0.
pub(super) struct Panel {
    pub(super) title: String,
    pub(super) lines: Vec<Line>,
}

/// One line.
pub(super) struct Line {
    pub(super) name: &'static str,
    pub(super) colour: &'static str,
    /// Nodes, and the value.
    pub(super) points: Vec<(f64, f64)>,
}

/// All panels, one below the other.
pub(super) fn svg(panels: &[Panel]) -> String {
    let height = HEIGHT * panels.len() as f64;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" font-family=\"sans-serif\" \
         font-size=\"12\">\n<rect width=\"{WIDTH}\" height=\"{height}\" fill=\"white\"/>\n"
    );
    for (place, panel) in panels.iter().enumerate() {
        draw(&mut out, panel, place as f64 * HEIGHT);
    }
    out.push_str("</svg>\n");
    out
}

fn draw(out: &mut String, panel: &Panel, offset: f64) {
    let all = || panel.lines.iter().flat_map(|line| line.points.iter().copied());
    let (least, most) = all().fold((f64::MAX, 0.0), |(least, most): (f64, f64), (nodes, _)| {
        (least.min(nodes.log10()), most.max(nodes.log10()))
    });
    let step = step(all().fold(0.0, |top: f64, (_, value)| top.max(value)) / STEPS);
    let top = all().fold(step, |top: f64, (_, value)| top.max((value / step).ceil() * step));
    let span = (most - least).max(0.001);
    let x = |nodes: f64| LEFT + (nodes.log10() - least) / span * (WIDTH - LEFT - RIGHT);
    let (floor, tall) = (offset + HEIGHT - BOTTOM, HEIGHT - TOP - BOTTOM);
    let y = |value: f64| floor - value / top * tall;
    let _ = writeln!(
        out,
        "<text x=\"{LEFT}\" y=\"{:.0}\" font-weight=\"bold\">{}</text>",
        offset + TOP - 16.0,
        panel.title
    );
    let mut value = 0.0;
    while value <= top + step / 2.0 {
        let at = y(value);
        let _ = writeln!(
            out,
            "<line x1=\"{LEFT}\" y1=\"{at:.1}\" x2=\"{:.1}\" y2=\"{at:.1}\" stroke=\"#dddddd\"/>\n\
             <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{value}</text>",
            WIDTH - RIGHT,
            LEFT - 6.0,
            at + 4.0
        );
        value += step;
    }
    if let Some(first) = panel.lines.first() {
        for (nodes, _) in &first.points {
            let _ = writeln!(
                out,
                "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{nodes}</text>",
                x(*nodes),
                floor + 18.0
            );
        }
    }
    let _ = writeln!(
        out,
        "<text x=\"{:.1}\" y=\"{:.1}\">nodes, logarithmic</text>",
        WIDTH - RIGHT + 28.0,
        floor + 18.0
    );
    for (place, line) in panel.lines.iter().enumerate() {
        let Line { name, colour, points } = line;
        let each: Vec<String> = points
            .iter()
            .map(|(nodes, value)| format!("{:.1},{:.1}", x(*nodes), y(*value)))
            .collect();
        let key = offset + TOP + place as f64 * 18.0;
        let (from, to) = (WIDTH - RIGHT + 12.0, WIDTH - RIGHT + 32.0);
        let _ = writeln!(
            out,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>\n\
             <line x1=\"{from}\" y1=\"{key}\" x2=\"{to}\" y2=\"{key}\" stroke=\"{colour}\" stroke-width=\"2\"/>\n\
             <text x=\"{:.1}\" y=\"{:.1}\">{name}</text>",
            each.join(" "),
            to + 6.0,
            key + 4.0
        );
    }
}

/// 1, 2 or 5 times a power of ten, at least this.
fn step(least: f64) -> f64 {
    let power = 10_f64.powf(least.max(1e-6).log10().floor());
    let steps = [1.0, 2.0, 5.0, 10.0].map(|factor| factor * power);
    steps.into_iter().find(|step| *step >= least).unwrap_or(power)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grid_has_round_numbers() {
        assert_eq!((step(0.7), step(1.0), step(1.3), step(37.0)), (1.0, 1.0, 2.0, 50.0));
    }
}
