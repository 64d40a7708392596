//! Tables: what a recipe may end in instead of an image.

/// Columns of one length.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table {
    /// In the order in which they are shown.
    pub columns: Vec<Column>,
}

/// One column.
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    /// Name with the unit at its end: `centroid_z_px`, `volume_um3`.
    pub name: String,
    /// One value per row.
    pub values: Values,
}

/// The values of a column.
#[derive(Clone, Debug, PartialEq)]
pub enum Values {
    /// Counts, numbers of objects, positions.
    Whole(Vec<u64>),
    /// Measurements.
    Real(Vec<f64>),
    /// Names.
    Text(Vec<String>),
}

impl Values {
    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Whole(v) => v.len(),
            Self::Real(v) => v.len(),
            Self::Text(v) => v.len(),
        }
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Table {
    /// How many rows there are.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.columns.first().map_or(0, |c| c.values.len())
    }

    /// The column of that name.
    #[must_use]
    pub fn column(&self, name: &str) -> Option<&Values> {
        self.columns.iter().find(|c| c.name == name).map(|c| &c.values)
    }

    /// Appends a column.
    ///
    /// # Panics
    /// If its length is not that of the others.
    pub fn push(&mut self, name: impl Into<String>, values: Values) {
        assert!(self.columns.is_empty() || self.rows() == values.len(), "columns of one length");
        self.columns.push(Column { name: name.into(), values });
    }
}
