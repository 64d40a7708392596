//! `preview`: one plane or projection of an image as a picture.
//!
//! What is drawn is cut out and made smaller by a pipeline, so only the chunks that it touches are read, in the memory that
//! is allowed. Of a pyramid the coarsest level is drawn that fills the picture.

mod channels;
mod view;

use self::channels::{Channels, Drawn};
use self::view::{Frame, View};
use super::{Done, Failure, Outcome, many, print_json};
use crate::args::{Global, Preview};
use crate::picture::{self, Bar, Panel};
use crate::{report, text};
use serde_json::json;
use voxtile::op::Kind;
use voxtile::{Images, OpenOptions, Pipeline, Report};
use voxtile_io::{WholeFile, check_apart};

pub(super) fn preview(args: &Preview, global: Global) -> Done {
    let images = match args.read.images(&args.input)? {
        Images::One(_) => {
            let (json, text) = draw(args, global)?;
            match global.json {
                true => print_json(&json)?,
                false if global.quiet => {}
                false => report::say(&text),
            }
            return Ok(Outcome::Done);
        }
        Images::Many(images) => images,
    };
    let outputs = many::outputs(&images, &args.output)?;
    let mut outputs = outputs.into_iter();
    many::each(&images, global, |image| {
        let labels = args.labels.as_ref().map(|labels| many::named(labels, image)).transpose()?;
        let output = outputs.next().unwrap_or_default();
        draw(&Preview { input: image.to_path_buf(), output, labels, ..args.clone() }, global)
    })
}

/// Draws one picture, and says what it shows, as JSON and in words.
fn draw(args: &Preview, global: Global) -> Result<(serde_json::Value, String), Failure> {
    let file = WholeFile::new(&args.output, args.overwrite);
    if args.output.extension().is_none_or(|e| !e.eq_ignore_ascii_case("png")) {
        return Err(Failure::NotPng { output: args.output.clone() });
    }
    check_apart(&args.input, &args.output)?;
    file.check()?;
    let whole = Pipeline::open_with(&args.input, &args.read.options())?;
    let view = View::new(args, &whole, global)?;
    let image = match view.level {
        Some(level) => Pipeline::open_with(&args.input, &OpenOptions { level, ..args.read.options() })?,
        None => whole,
    };
    let meta = image.meta().clone();
    let frame = Frame::new(&view, &meta, args.size);
    let channels = Channels::of(args, &meta)?;
    let [height, width] = frame.size;
    let (mut panel, drawn, mut reports) = if meta.kind == Kind::Labels {
        let (planes, grid, report) = view.read::<u64>(image, &frame, &channels.step(), "stride", args)?;
        let labels = picture::nearest(&planes[0], grid, frame.size);
        (Panel::labels(width, height, &labels), Vec::new(), vec![report])
    } else {
        let (planes, grid, report) =
            view.read::<f32>(image, &frame, &channels.step(), "mean out=f32", args)?;
        let planes = planes.iter().map(|plane| picture::area(plane, grid, frame.size)).collect();
        let (panel, drawn) = channels.draw(planes, frame.size, args);
        (panel, drawn, vec![report])
    };
    if let Some(path) = &args.labels {
        let (labels, report) = view.labels(path, &frame, args)?;
        panel.overlay(&labels);
        reports.push(report);
    }
    let bar = frame.micrometers.filter(|_| !args.no_scale_bar);
    let bar = bar.and_then(|um| Bar::new(width, height, um));
    if let Some(bar) = &bar {
        bar.draw(&mut panel);
    }
    let encoded = panel.png();
    let failed = |source| Failure::File { action: "encode", path: args.output.clone(), source };
    file.write(&encoded.map_err(failed)?)?;
    let made = Made { view: &view, frame: &frame, drawn: &drawn, bar: bar.as_ref(), reports: &reports };
    Ok((made.as_json(args), made.as_text(args, channels.hidden)))
}

/// A picture that was made, and how.
struct Made<'a> {
    view: &'a View,
    frame: &'a Frame,
    drawn: &'a [Drawn],
    bar: Option<&'a Bar>,
    reports: &'a [Report],
}

impl Made<'_> {
    fn bytes_read(&self) -> u64 {
        self.reports.iter().map(|report| report.bytes_read).sum()
    }

    fn level(&self, args: &Preview) -> usize {
        self.view.level.or(args.read.level).unwrap_or(0)
    }

    fn as_json(&self, args: &Preview) -> serde_json::Value {
        let [height, width] = self.frame.size;
        let channels: Vec<_> = self.drawn.iter().map(Drawn::as_json).collect();
        json!({
            "picture": args.output.display().to_string(), "width": width, "height": height,
            "level": self.level(args), "axis": self.view.across.name(), "position": self.view.at,
            "project": self.view.method, "t": self.view.t, "channels": channels,
            "um_per_pixel": self.frame.micrometers, "scale_bar_um": self.bar.map(|bar| bar.micrometers),
            "bytes_read": self.bytes_read(), "reports": self.reports,
        })
    }

    fn as_text(&self, args: &Preview, hidden: u64) -> String {
        let [height, width] = self.frame.size;
        let (from, to) = (args.input.display(), args.output.display());
        let mut parts = vec![format!("{width} × {height} pixels")];
        parts.extend(self.view.words());
        if self.level(args) > 0 {
            parts.push(format!("level {}", self.level(args)));
        }
        parts.extend(self.drawn.iter().map(Drawn::words));
        if hidden > 0 {
            parts.push(format!("{} not shown (`--channel` chooses)", text::counted(hidden, "channel")));
        }
        parts.extend(self.bar.map(|bar| format!("scale bar {}", bar.words())));
        parts.push(format!("read {}", text::bytes(self.bytes_read())));
        format!("{from} → {to}: {}", parts.join(", "))
    }
}
