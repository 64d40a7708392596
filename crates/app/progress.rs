//! The progress bar on stderr, and Ctrl-C.

use crate::args::Global;
use crate::text;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::IsTerminal;
use std::sync::OnceLock;
use voxtile::{Cancel, Progress};

/// The token that Ctrl-C pulls, once somebody [listens](listen).
pub(crate) fn token() -> Cancel {
    static TOKEN: OnceLock<Cancel> = OnceLock::new();
    TOKEN.get_or_init(Cancel::new).clone()
}

/// From now on Ctrl-C pulls the token; a second one ends the process at once. Before, it ends the process: while a run is
/// planned nothing has to be cleared away.
pub(crate) fn listen() {
    let pulled = token();
    // Fails only if a handler is set already: then it is this one.
    let _ = ctrlc::set_handler(move || {
        if pulled.is_cancelled() {
            std::process::exit(130);
        }
        pulled.cancel();
    });
}

/// The token, with somebody who listens.
pub(crate) fn interrupt() -> Cancel {
    listen();
    token()
}

/// A bar, if somebody looks at stderr.
pub(crate) fn bar(global: Global) -> ProgressBar {
    if global.quiet || !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    let style = ProgressStyle::with_template("{bar:28} {pos}/{len} {msg}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar
}

/// Shows how far a run is.
pub(crate) fn show(bar: &ProgressBar, p: &Progress) {
    if bar.is_hidden() {
        return;
    }
    bar.set_length(p.tiles_total);
    bar.set_position(p.tiles_done);
    let elapsed = p.elapsed.as_secs_f64();
    let left = elapsed / p.tiles_done.max(1) as f64 * p.tiles_total.saturating_sub(p.tiles_done) as f64;
    let mut message = String::from("tiles");
    if p.stages > 1 {
        message += &format!(", stage {}/{}", p.stage + 1, p.stages);
    }
    message += &format!(
        "  read {}  write {}  {} left",
        text::rate(p.bytes_read, elapsed),
        text::rate(p.bytes_written, elapsed),
        text::seconds(left),
    );
    if let Some(bytes) = voxtile::machine::resident_bytes() {
        message += &format!("  {}", text::bytes(bytes));
    }
    bar.set_message(message);
}
