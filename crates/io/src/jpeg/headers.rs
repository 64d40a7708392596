//! What stands before the bits of a scan: tables, sizes, and what the scan holds.

use super::Fault;
use super::huffman::{PLACES, Table};

/// A component and its plane of whole blocks.
#[derive(Clone, Debug)]
pub(super) struct Component {
    id: u8,
    /// Sampling factors: blocks of one unit across and down.
    pub(super) across: usize,
    pub(super) down: usize,
    pub(super) quant: usize,
    /// Samples that the image needs.
    pub(super) width: usize,
    pub(super) height: usize,
    /// Where the plane starts, its rows and their distance.
    pub(super) start: usize,
    pub(super) rows: usize,
    pub(super) stride: usize,
}

#[derive(Clone, Debug)]
pub(super) struct Frame {
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) components: Vec<Component>,
    /// Largest sampling factors.
    pub(super) across: usize,
    pub(super) down: usize,
    pub(super) progressive: bool,
}

/// What a scan holds and where its bits start.
#[derive(Debug)]
pub(super) struct Scan {
    /// Number of the component, and its tables of means and of other coefficients.
    pub(super) components: Vec<(usize, usize, usize)>,
    /// First and last coefficient, and the number of the lowest bit so far and after it: of progressive streams.
    pub(super) places: (usize, usize),
    pub(super) bits: (u8, u8),
    pub(super) at: usize,
}

/// Tables and sizes as they stand at one place of a stream.
#[derive(Default)]
pub(super) struct Headers {
    /// Row-major.
    pub(super) quants: [Option<[i16; 64]>; 4],
    /// Of means, then of other coefficients.
    tables: [[Option<Box<Table>>; 4]; 2],
    /// Which of those this stream has defined; others are of one before.
    defined: [[bool; 4]; 2],
    /// Units between restart markers; 0: there are none.
    pub(super) restart: usize,
    pub(super) frame: Option<Frame>,
    jfif: bool,
    adobe: Option<u8>,
}

impl Headers {
    /// Forgets what another stream has said.
    pub(super) fn start(&mut self) {
        self.quants = [None; 4];
        self.defined = [[false; 4]; 2];
        (self.restart, self.frame, self.jfif, self.adobe) = (0, None, false, None);
    }

    /// A table that a scan uses: 0, of means, or 1, and its number.
    pub(super) fn table(&self, class: usize, number: usize) -> Result<&Table, Fault> {
        match &self.tables[class][number] {
            Some(table) if self.defined[class][number] => Ok(table),
            _ => Err(Fault::new(format!("uses a Huffman table ({number}) that it does not define"))),
        }
    }

    /// Reads up to the next scan, or to the end of the stream.
    pub(super) fn read(&mut self, stream: &[u8], mut at: usize) -> Result<Option<Scan>, Fault> {
        let cut = || Fault::new("ends within its headers");
        if at == 0 {
            if !stream.starts_with(&[0xFF, 0xD8]) {
                return Err(Fault::new("does not start as a JPEG does"));
            }
            at = 2;
        }
        loop {
            match stream.get(at..) {
                Some([0xFF, 0xFF, ..]) => {
                    at += 1;
                    continue;
                }
                Some([0xFF, 0xD8, ..]) => {
                    at += 2;
                    continue;
                }
                // Tables need no end, and what has all its scans none either.
                Some([0xFF, 0xD9, ..] | [0xFF] | []) | None => return Ok(None),
                Some([0xFF, ..]) => {}
                Some(_) => return Err(Fault::new("has bytes between its headers")),
            }
            let head = stream.get(at + 2..at + 4).ok_or_else(cut)?;
            let end = at + 2 + usize::from(u16::from_be_bytes([head[0], head[1]])).max(2);
            let body = stream.get(at + 4..end).ok_or_else(cut)?;
            match stream[at + 1] {
                marker @ 0xC0..=0xC2 => self.frame(body, marker == 0xC2)?,
                0xC4 => self.huffman(body)?,
                marker @ (0xC3 | 0xC5..=0xC7 | 0xC9..=0xCB | 0xCD..=0xCF) => {
                    let number = marker & 15;
                    return Err(Fault::new(format!("is coded in a way (SOF{number}) that is not read")));
                }
                0xDA => return self.scan(body, end).map(Some),
                0xDB => self.quantization(body)?,
                0xDD => self.restart = body.first_chunk().map_or(0, |b| u16::from_be_bytes(*b).into()),
                0xE0 if body.starts_with(b"JFIF\0") => self.jfif = true,
                0xEE if body.starts_with(b"Adobe") => self.adobe = body.get(11).copied(),
                _ => {}
            }
            at = end;
        }
    }

    fn quantization(&mut self, mut body: &[u8]) -> Result<(), Fault> {
        while let Some((&head, rest)) = body.split_first() {
            let wide = head >> 4 != 0;
            let bytes = if wide { 128 } else { 64 };
            let (Some((values, rest)), true) = (rest.split_at_checked(bytes), head & 15 < 4) else {
                return Err(Fault::new("has a quantization table that is cut off or has no number"));
            };
            let mut table = [0; 64];
            for (k, &place) in PLACES[..64].iter().enumerate() {
                table[usize::from(place)] = if wide {
                    i16::from_be_bytes([values[2 * k], values[2 * k + 1]])
                } else {
                    values[k].into()
                };
            }
            self.quants[usize::from(head & 15)] = Some(table);
            body = rest;
        }
        Ok(())
    }

    fn huffman(&mut self, mut body: &[u8]) -> Result<(), Fault> {
        while let Some((&head, rest)) = body.split_first() {
            let symbols: usize = rest.iter().take(16).map(|&n| usize::from(n)).sum();
            let (class, number) = (usize::from(head >> 4), usize::from(head & 15));
            let (Some((spec, rest)), true) =
                (rest.split_at_checked(16 + symbols), symbols <= 256 && class < 2 && number < 4)
            else {
                return Err(Fault::new("has a Huffman table that is cut off or has no number"));
            };
            self.tables[class][number].get_or_insert_with(Table::new).make(spec)?;
            self.defined[class][number] = true;
            body = rest;
        }
        Ok(())
    }

    fn frame(&mut self, body: &[u8], progressive: bool) -> Result<(), Fault> {
        let [bits, h0, h1, w0, w1, count, parts @ ..] = body else {
            return Err(Fault::new("ends within its headers"));
        };
        let (parts, count) = (parts.as_chunks::<3>().0, usize::from(*count));
        if *bits != 8 {
            return Err(Fault::new(format!("has samples of {bits} bits, which are not read")));
        }
        if self.frame.is_some() || !(1..=4).contains(&count) || parts.len() != count {
            return Err(Fault::new(format!("has frames that contradict each other ({count} components)")));
        }
        let factors = |p: &[u8; 3]| (usize::from(p[1] >> 4), usize::from(p[1] & 15));
        if !parts.iter().all(|p| matches!(factors(p), (1..=4, 1..=4)) && p[2] < 4) {
            return Err(Fault::new("has sampling factors or tables that cannot be"));
        }
        let across = parts.iter().map(|p| factors(p).0).max().unwrap_or(1);
        let down = parts.iter().map(|p| factors(p).1).max().unwrap_or(1);
        let odd = parts.iter().map(factors).find(|f| across % f.0 != 0 || down % f.1 != 0);
        if let Some((h, v)) = odd {
            let what = format!("has components sampled {across} × {down} and {h} × {v}, which is not read");
            return Err(Fault::new(what));
        }
        let height = usize::from(u16::from_be_bytes([*h0, *h1]));
        let width = usize::from(u16::from_be_bytes([*w0, *w1]));
        if width == 0 || height == 0 {
            return Err(Fault::new(format!("has a size of {width} × {height}")));
        }
        let mut start = 0;
        let components = parts.iter().map(|part| {
            let (h, v) = factors(part);
            let component = Component {
                id: part[0],
                across: h,
                down: v,
                quant: part[2].into(),
                width: (width * h).div_ceil(across),
                height: (height * v).div_ceil(down),
                start,
                rows: height.div_ceil(8 * down) * 8 * v,
                stride: width.div_ceil(8 * across) * 8 * h,
            };
            start += component.rows * component.stride;
            component
        });
        self.frame =
            Some(Frame { width, height, components: components.collect(), across, down, progressive });
        Ok(())
    }

    fn scan(&self, body: &[u8], at: usize) -> Result<Scan, Fault> {
        let wrong = || Fault::new("has a scan that does not fit its frame");
        let frame = self.frame.as_ref().ok_or_else(|| Fault::new("has a scan and no frame"))?;
        let [count, parts @ ..] = body else { return Err(wrong()) };
        let count = usize::from(*count);
        if count == 0 || parts.len() != 2 * count + 3 {
            return Err(wrong());
        }
        let [first, last, bits] = [parts[2 * count], parts[2 * count + 1], parts[2 * count + 2]];
        let components = parts.as_chunks::<2>().0[..count].iter().map(|&[id, tables]| {
            let number = frame.components.iter().position(|c| c.id == id).ok_or_else(wrong)?;
            let (mean, others) = (usize::from(tables >> 4), usize::from(tables & 15));
            if mean > 3 || others > 3 { Err(wrong()) } else { Ok((number, mean, others)) }
        });
        let components: Vec<_> = components.collect::<Result<_, _>>()?;
        if components.iter().enumerate().any(|(n, c)| components[..n].iter().any(|other| other.0 == c.0)) {
            return Err(wrong());
        }
        let (places, bits) = ((first.into(), last.into()), (bits >> 4, bits & 15));
        Ok(Scan { components, places, bits, at })
    }

    /// Whether three components are luma and chroma, by the marks of the programs that write JPEG.
    pub(super) fn marked_ycbcr(&self, frame: &Frame) -> bool {
        match (self.jfif, self.adobe) {
            (true, _) => true,
            (false, Some(transform)) => transform != 0,
            (false, None) => !frame.components.iter().map(|c| c.id).eq(*b"RGB"),
        }
    }
}
