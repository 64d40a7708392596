//! From planes of components, some of fewer samples, to planes of the image.
//!
//! Chroma of half the size in x, y or both: each new sample lies a quarter from the nearer old one and takes 3/4 of it
//! and 1/4 of the next, per axis. Where that ends in a half, samples on the left (above) are rounded down and those on the
//! right (below) up, as libjpeg does it, so that neither wins. Other factors, and columns of one or two samples in x,
//! repeat samples. Beyond the edge of the image lies the edge's sample.

use super::colors::to_rgb;
use super::headers::{Component, Frame};
use super::{Fault, vectorised};

/// Rows of one component as the image has them.
#[derive(Default)]
pub(super) struct Rows {
    rows: [Vec<u8>; 3],
    sums: Vec<u16>,
}

impl Rows {
    /// Fills the planes of the image, `out.len() / components` bytes apart.
    pub(super) fn finish(
        &mut self,
        frame: &Frame,
        planes: &[u8],
        convert: bool,
        out: &mut [u8],
    ) -> Result<(), Fault> {
        let (width, height) = (frame.width, frame.height);
        let plane = out.len() / frame.components.len();
        if plane < width * height {
            return Err(Fault::new(format!("has {width} × {height} pixels, and there is room for {plane}")));
        }
        // Two columns more than needed: enlarged rows have an even number.
        for row in &mut self.rows {
            row.resize((4 * width + 8).max(row.len()), 0);
        }
        self.sums.resize((width + 2).max(self.sums.len()), 0);
        if convert {
            let (red, rest) = out.split_at_mut(plane);
            let (green, blue) = rest.split_at_mut(plane);
            for y in 0..height {
                let [a, b, c] = &mut self.rows;
                let luma = row(&frame.components[0], frame, planes, y, a, &mut self.sums);
                let cb = row(&frame.components[1], frame, planes, y, b, &mut self.sums);
                let cr = row(&frame.components[2], frame, planes, y, c, &mut self.sums);
                let at = y * width..(y + 1) * width;
                let out = (&mut red[at.clone()], &mut green[at.clone()], &mut blue[at]);
                to_rgb(&luma[..width], &cb[..width], &cr[..width], out.0, out.1, out.2);
            }
        } else {
            for (component, out) in frame.components.iter().zip(out.chunks_exact_mut(plane)) {
                for (y, out) in out.chunks_exact_mut(width).take(height).enumerate() {
                    let row = row(component, frame, planes, y, &mut self.rows[0], &mut self.sums);
                    out.copy_from_slice(&row[..width]);
                }
            }
        }
        Ok(())
    }
}

/// Row `y` of the image in one component: its own, or enlarged in `room`.
fn row<'a>(
    component: &Component,
    frame: &Frame,
    planes: &'a [u8],
    y: usize,
    room: &'a mut [u8],
    sums: &mut [u16],
) -> &'a [u8] {
    let (fx, fy) = (frame.across / component.across, frame.down / component.down);
    let stored = |y: usize| {
        let at = component.start + y.min(component.height - 1) * component.stride;
        &planes[at..at + component.width]
    };
    let near = y / fy;
    // The next row on the side where this one lies.
    let far = if y.is_multiple_of(2) { near.saturating_sub(1) } else { near + 1 };
    match (fx, fy) {
        (1, 1) => return stored(near),
        (2, 1) if component.width > 2 => wider(stored(near), room),
        (1, 2) => between(stored(near), stored(far), 1 + (y % 2) as u16, room),
        (2, 2) if component.width > 2 => {
            weighted(stored(near), stored(far), sums);
            wider_sums(&sums[..component.width], room);
        }
        _ => {
            for (out, value) in room.chunks_exact_mut(fx).zip(stored(near)) {
                out.fill(*value);
            }
        }
    }
    room
}

vectorised! {
    /// Twice as many columns.
    fn wider(row: &[u8], out: &mut [u8]) {
        let n = row.len();
        let (first, last) = (u16::from(row[0]), u16::from(row[n - 1]));
        let out = &mut out.as_chunks_mut::<2>().0[..n];
        for ((out, w), right) in out[1..n - 1].iter_mut().zip(row.windows(2)).zip(&row[2..]) {
            let here = 3 * u16::from(w[1]);
            *out = [((here + u16::from(w[0]) + 1) >> 2) as u8, ((here + u16::from(*right) + 2) >> 2) as u8];
        }
        out[0] = [row[0], ((3 * first + u16::from(row[1]) + 2) >> 2) as u8];
        out[n - 1] = [((3 * last + u16::from(row[n - 2]) + 1) >> 2) as u8, row[n - 1]];
    }
}

vectorised! {
    /// A row between two.
    fn between(near: &[u8], far: &[u8], round: u16, out: &mut [u8]) {
        for ((out, near), far) in out.iter_mut().zip(near).zip(far) {
            *out = ((3 * u16::from(*near) + u16::from(*far) + round) >> 2) as u8;
        }
    }
}

vectorised! {
    /// Four times a row between two.
    fn weighted(near: &[u8], far: &[u8], out: &mut [u16]) {
        for ((out, near), far) in out.iter_mut().zip(near).zip(far) {
            *out = 3 * u16::from(*near) + u16::from(*far);
        }
    }
}

vectorised! {
    /// Twice as many columns from four times the values.
    fn wider_sums(row: &[u16], out: &mut [u8]) {
        let n = row.len();
        let out = &mut out.as_chunks_mut::<2>().0[..n];
        for ((out, w), right) in out[1..n - 1].iter_mut().zip(row.windows(2)).zip(&row[2..]) {
            let here = 3 * w[1];
            *out = [((here + w[0] + 8) >> 4) as u8, ((here + right + 7) >> 4) as u8];
        }
        out[0] = [((4 * row[0] + 8) >> 4) as u8, ((3 * row[0] + row[1] + 7) >> 4) as u8];
        out[n - 1] = [((3 * row[n - 1] + row[n - 2] + 8) >> 4) as u8, ((4 * row[n - 1] + 7) >> 4) as u8];
    }
}
