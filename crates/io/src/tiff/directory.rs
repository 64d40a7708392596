//! Directories of a TIFF that is written, in the byte order of the machine.

/// Values of one tag.
pub(super) enum Values<'a> {
    Ascii(&'a str),
    /// Of no stated type.
    Bytes(&'a [u8]),
    Short(&'a [u16]),
    Long(&'a [u32]),
    /// Two numbers.
    Rational([u32; 2]),
    /// Offsets: eight bytes in BigTIFF, else four.
    Offsets(&'a [u64]),
}

impl Values<'_> {
    fn kind(&self, big: bool) -> u16 {
        match self {
            Self::Ascii(_) => 2,
            Self::Bytes(_) => 7,
            Self::Short(_) => 3,
            Self::Long(_) => 4,
            Self::Rational(_) => 5,
            Self::Offsets(_) => {
                if big {
                    16
                } else {
                    4
                }
            }
        }
    }

    fn count(&self) -> usize {
        match self {
            Self::Ascii(text) => text.len() + 1,
            Self::Bytes(v) => v.len(),
            Self::Short(v) => v.len(),
            Self::Long(v) => v.len(),
            Self::Rational(_) => 1,
            Self::Offsets(v) => v.len(),
        }
    }

    fn append(&self, big: bool, to: &mut Vec<u8>) {
        match self {
            Self::Ascii(text) => {
                to.extend_from_slice(text.as_bytes());
                to.push(0);
            }
            Self::Bytes(v) => to.extend_from_slice(v),
            Self::Short(v) => v.iter().for_each(|n| to.extend(n.to_ne_bytes())),
            Self::Long(v) => v.iter().for_each(|n| to.extend(n.to_ne_bytes())),
            Self::Rational(v) => v.iter().for_each(|n| to.extend(n.to_ne_bytes())),
            Self::Offsets(v) if big => v.iter().for_each(|n| to.extend(n.to_ne_bytes())),
            // In a classic file every offset fits: that is why it is one.
            Self::Offsets(v) => v.iter().for_each(|n| to.extend((*n as u32).to_ne_bytes())),
        }
    }
}

/// The first bytes of a file whose first directory lies at `first`.
pub(super) fn header(big: bool, first: u64) -> Vec<u8> {
    let mut out = if cfg!(target_endian = "little") { b"II".to_vec() } else { b"MM".to_vec() };
    if big {
        out.extend(43u16.to_ne_bytes());
        out.extend(8u16.to_ne_bytes());
        out.extend(0u16.to_ne_bytes());
        out.extend(first.to_ne_bytes());
    } else {
        out.extend(42u16.to_ne_bytes());
        out.extend((first as u32).to_ne_bytes());
    }
    out
}

/// Appends the directory that will lie at `at` to `out`, with the values that do not fit in it; its length is even.
/// `tags` are in rising order. Unless it is the `last` one, the next follows at once.
pub(super) fn append(out: &mut Vec<u8>, big: bool, at: u64, tags: &[(u16, Values<'_>)], last: bool) {
    let (count_size, entry_size, word) = if big { (8, 20, 8) } else { (2, 12, 4) };
    let table = count_size + tags.len() * entry_size + word;
    let start = out.len();
    if big {
        out.extend((tags.len() as u64).to_ne_bytes());
    } else {
        out.extend((tags.len() as u16).to_ne_bytes());
    }
    let mut more = Vec::new();
    let number = |out: &mut Vec<u8>, n: u64| {
        if big { out.extend(n.to_ne_bytes()) } else { out.extend((n as u32).to_ne_bytes()) }
    };
    for (tag, values) in tags {
        out.extend(tag.to_ne_bytes());
        out.extend(values.kind(big).to_ne_bytes());
        number(out, values.count() as u64);
        let mut bytes = Vec::new();
        values.append(big, &mut bytes);
        if bytes.len() <= word {
            bytes.resize(word, 0);
            out.extend(bytes);
        } else {
            number(out, at + (table + more.len()) as u64);
            more.append(&mut bytes);
            more.resize(more.len().next_multiple_of(8), 0);
        }
    }
    more.resize((table + more.len()).next_multiple_of(8) - table, 0);
    let next = if last { 0 } else { at + (table + more.len()) as u64 };
    number(out, next);
    debug_assert_eq!(out.len() - start, table);
    out.append(&mut more);
}
