//! Tables as files: CSV and Parquet.

use crate::{IoError, WholeFile, Work};
use parquet::data_type::{ByteArray, ByteArrayType, DoubleType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use voxtile_sched::contract::{Table, Values};

/// What a table is written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TableFormat {
    /// Text: a line of names, then a line per row, as RFC 4180 has it. Numbers so that they are read back as they were.
    Csv,
    /// Apache Parquet: 64-bit integers, doubles, UTF-8.
    Parquet,
}

impl TableFormat {
    /// By the end of a name: `.csv` or `.parquet`.
    #[must_use]
    pub fn from_path(path: &Path) -> Option<Self> {
        let extension = path.extension()?.to_str()?;
        match extension.to_ascii_lowercase().as_str() {
            "csv" => Some(Self::Csv),
            "parquet" => Some(Self::Parquet),
            _ => None,
        }
    }
}

/// A table to be written.
#[derive(Clone, Debug)]
pub struct TableOptions {
    file: WholeFile,
    format: TableFormat,
}

impl TableOptions {
    /// A table at `path`, as the end of the name says; `None` if that is none of a table. `overwrite` replaces a file that
    /// exists; otherwise it is refused.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>, overwrite: bool) -> Option<Self> {
        let path = path.into();
        TableFormat::from_path(&path).map(|format| Self { file: WholeFile::new(path, overwrite), format })
    }

    /// Where it goes.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.file.path()
    }

    /// Whether a file that exists is replaced.
    #[must_use]
    pub fn overwrites(&self) -> bool {
        self.file.overwrites()
    }

    /// Refuses what could not be written, before anything is computed.
    ///
    /// # Errors
    /// The file exists, or its directory does not.
    pub fn check(&self) -> Result<(), IoError> {
        self.file.check()
    }

    /// Writes the table whole or not at all; for a run, as safe as it says.
    ///
    /// # Errors
    /// Those of [`check`](Self::check) and of the system.
    pub fn write(&self, table: &Table, work: Option<&Arc<Work>>) -> Result<(), IoError> {
        self.check()?;
        let bytes = match self.format {
            TableFormat::Csv => csv(table).map_err(|e| self.broken(&e)),
            TableFormat::Parquet => parquet(table).map_err(|e| self.broken(&e)),
        }?;
        self.file.write_of(&bytes, work)
    }

    fn broken(&self, error: &dyn std::error::Error) -> IoError {
        IoError::io("encode", self.path())(std::io::Error::other(error.to_string()))
    }
}

fn csv(table: &Table) -> Result<Vec<u8>, csv::Error> {
    let mut out = csv::WriterBuilder::new().terminator(csv::Terminator::Any(b'\n')).from_writer(Vec::new());
    out.write_record(table.columns.iter().map(|c| &c.name))?;
    for row in 0..table.rows() {
        out.write_record(table.columns.iter().map(|c| match &c.values {
            Values::Whole(v) => v[row].to_string(),
            // The shortest text that is read back as the same number; nothing for what is not one.
            Values::Real(v) if v[row].is_nan() => String::new(),
            Values::Real(v) => v[row].to_string(),
            Values::Text(v) => v[row].clone(),
        }))?;
    }
    out.into_inner().map_err(|e| csv::Error::from(e.into_error()))
}

fn parquet(table: &Table) -> Result<Vec<u8>, ParquetError> {
    let field = |c: &voxtile_sched::contract::Column| match &c.values {
        Values::Whole(_) => format!("required int64 {};", c.name),
        Values::Real(_) => format!("required double {};", c.name),
        Values::Text(_) => format!("required binary {} (UTF8);", c.name),
    };
    let fields: String = table.columns.iter().map(field).collect();
    let schema = Arc::new(parse_message_type(&format!("message voxtile {{ {fields} }}"))?);
    let mut bytes = Vec::new();
    let mut file = SerializedFileWriter::new(&mut bytes, schema, Arc::new(WriterProperties::new()))?;
    let mut group = file.next_row_group()?;
    let mut columns = table.columns.iter();
    while let (Some(mut writer), Some(column)) = (group.next_column()?, columns.next()) {
        match &column.values {
            Values::Whole(v) => {
                // Counts and positions stay far below 2⁶³.
                let v: Vec<i64> = v.iter().map(|&n| n as i64).collect();
                writer.typed::<Int64Type>().write_batch(&v, None, None)?;
            }
            Values::Real(v) => {
                writer.typed::<DoubleType>().write_batch(v, None, None)?;
            }
            Values::Text(v) => {
                let v: Vec<ByteArray> = v.iter().map(|s| ByteArray::from(s.as_str())).collect();
                writer.typed::<ByteArrayType>().write_batch(&v, None, None)?;
            }
        }
        writer.close()?;
    }
    group.close()?;
    file.close()?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use parquet::file::reader::{FileReader, SerializedFileReader};
    use parquet::record::RowAccessor;

    fn table() -> Table {
        let mut table = Table::default();
        table.push("image", Values::Text(vec!["a.tif".to_owned(), "b, \"c\".tif".to_owned()]));
        table.push("label", Values::Whole(vec![1, 4_000_000_000]));
        table.push("mean", Values::Real(vec![0.1 + 0.2, f64::NAN]));
        table
    }

    #[test]
    fn csv_is_read_back() {
        let dir = tempfile::tempdir().unwrap();
        let to = |overwrite| TableOptions::new(dir.path().join("t.csv"), overwrite).unwrap();
        to(false).write(&table(), None).unwrap();
        let text = std::fs::read_to_string(dir.path().join("t.csv")).unwrap();
        let want = "image,label,mean\na.tif,1,0.30000000000000004\n\"b, \"\"c\"\".tif\",4000000000,\n";
        assert_eq!(text, want);
        assert!(matches!(to(false).write(&table(), None), Err(IoError::Exists { .. })));
        to(true).write(&Table::default(), None).unwrap();
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn parquet_is_read_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("t.parquet");
        TableOptions::new(&path, false).unwrap().write(&table(), None).unwrap();
        let file = SerializedFileReader::new(std::fs::File::open(path).unwrap()).unwrap();
        let rows: Vec<_> = file.get_row_iter(None).unwrap().map(Result::unwrap).collect();
        assert_eq!(rows.len(), 2);
        assert_eq!(rows[1].get_string(0).unwrap(), "b, \"c\".tif");
        assert_eq!(rows[1].get_long(1).unwrap(), 4_000_000_000);
        assert_eq!(rows[0].get_double(2).unwrap(), 0.1 + 0.2);
    }

    #[test]
    fn an_empty_table_has_its_names() {
        let mut empty = Table::default();
        empty.push("label", Values::Whole(Vec::new()));
        assert_eq!(csv(&empty).unwrap(), b"label\n");
        assert!(parquet(&empty).is_ok());
    }

    #[test]
    fn other_names_are_refused() {
        assert!(TableOptions::new("table.xlsx", false).is_none());
        let nowhere = TableOptions::new("no/such/directory/t.csv", false).unwrap();
        assert!(matches!(nowhere.check(), Err(IoError::Missing { .. })));
    }
}
