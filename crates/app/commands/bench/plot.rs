//! The curves of `bench` as an SVG: seconds over voxels, both by powers of ten; one panel for each recipe.

use super::Row;
use std::fmt::Write;

const WIDTH: f64 = 420.0;
const HEIGHT: f64 = 300.0;
/// Around a panel: for its title and the numbers at its axes.
const MARGIN: f64 = 56.0;
const CPU: &str = "#555555";
const GPU: &str = "#0b6e4f";
const KERNELS: &str = "#c8553d";

/// Points of a curve: voxels and seconds.
type Curve = Vec<(f64, f64)>;

pub(super) fn svg(rows: &[Row]) -> String {
    let mut recipes: Vec<&str> = rows.iter().map(|row| row.recipe.as_str()).collect();
    recipes.dedup();
    let height = HEIGHT * recipes.len() as f64;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" \
         font-family=\"sans-serif\" font-size=\"11\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
    );
    for (n, recipe) in recipes.iter().enumerate() {
        let of: Vec<&Row> = rows.iter().filter(|row| row.recipe == *recipe).collect();
        panel(&mut out, recipe, &of, HEIGHT * n as f64);
    }
    out + "</svg>\n"
}

fn panel(out: &mut String, recipe: &str, rows: &[&Row], top: f64) {
    let voxels = |row: &Row| (row.edge as f64).powi(3);
    let gpu = |time: fn(&super::Gpu) -> f64| -> Curve {
        rows.iter().filter_map(|row| Some((voxels(row), time(row.gpu.as_ref()?)))).collect()
    };
    let cpu: Curve = rows.iter().map(|row| (voxels(row), row.cpu_seconds)).collect();
    let curves = [
        ("CPU", CPU, cpu),
        ("GPU, end to end", GPU, gpu(|gpu| gpu.seconds)),
        ("kernels alone", KERNELS, gpu(|gpu| gpu.kernel_seconds)),
    ];
    let all: Vec<(f64, f64)> = curves.iter().flat_map(|curve| curve.2.iter().copied()).collect();
    let (x, y) = (decades(all.iter().map(|p| p.0)), decades(all.iter().map(|p| p.1)));
    let place = |(voxels, seconds): (f64, f64)| {
        let along = (voxels.max(1.0).log10() - x.0) / (x.1 - x.0);
        let up = (seconds.max(1e-12).log10() - y.0) / (y.1 - y.0);
        (MARGIN + along * (WIDTH - 2.0 * MARGIN), top + HEIGHT - MARGIN - up * (HEIGHT - 2.0 * MARGIN))
    };
    let _ = writeln!(
        out,
        "<text x=\"{MARGIN}\" y=\"{}\" font-size=\"13\">{}</text>",
        top + 20.0,
        escaped(recipe)
    );
    for decade in whole(x) {
        let (left, bottom) = place((10f64.powi(decade), 10f64.powf(y.0)));
        let _ = writeln!(
            out,
            "<line x1=\"{left:.1}\" y1=\"{bottom:.1}\" x2=\"{left:.1}\" y2=\"{:.1}\" stroke=\"#dddddd\"/>\
             <text x=\"{left:.1}\" y=\"{:.1}\" text-anchor=\"middle\">10^{decade}</text>",
            top + MARGIN,
            bottom + 16.0
        );
    }
    for decade in whole(y) {
        let (left, at) = place((10f64.powf(x.0), 10f64.powi(decade)));
        let _ = writeln!(
            out,
            "<line x1=\"{left:.1}\" y1=\"{at:.1}\" x2=\"{:.1}\" y2=\"{at:.1}\" stroke=\"#dddddd\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">10^{decade} s</text>",
            WIDTH - MARGIN,
            left - 6.0,
            at + 4.0
        );
    }
    let _ = writeln!(
        out,
        "<text x=\"{}\" y=\"{}\" text-anchor=\"middle\">voxels</text>",
        WIDTH / 2.0,
        top + HEIGHT - 22.0
    );
    for (n, (name, colour, points)) in curves.iter().filter(|curve| !curve.2.is_empty()).enumerate() {
        let line: Vec<String> =
            points.iter().map(|&p| place(p)).map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        let _ = writeln!(
            out,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>\
             <text x=\"{}\" y=\"{}\" fill=\"{colour}\">{name}</text>",
            line.join(" "),
            MARGIN + 110.0 * n as f64,
            top + 40.0
        );
    }
}

/// Powers of ten around the values; at least one.
fn decades(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let (low, high) =
        values.fold((f64::INFINITY, 1e-12), |(low, high), v| (v.max(1e-12).min(low), v.max(high)));
    let (low, high) = (low.min(high).log10().floor(), high.log10().ceil());
    (low, high.max(low + 1.0))
}

fn whole((low, high): (f64, f64)) -> std::ops::RangeInclusive<i32> {
    low as i32..=high as i32
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
