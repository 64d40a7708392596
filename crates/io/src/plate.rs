//! Plates of high-content screens: wells in rows and columns, each with fields that are images of their own.

use crate::info::{is_zip, zarr_at};
use crate::zarr::node;
use crate::{IoError, OmeVersion, Placed, Remote};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// A plate: which wells it has, and which fields are in them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plate {
    /// Names of rows, in their order.
    pub rows: Vec<String>,
    /// Names of columns, in their order.
    pub columns: Vec<String>,
    /// The wells that have fields.
    pub wells: Vec<Well>,
    /// What else the file says of it: name, acquisitions.
    pub attributes: Map<String, Value>,
}

/// A well.
#[derive(Clone, Debug, PartialEq)]
pub struct Well {
    /// Name of its row.
    pub row: String,
    /// Name of its column.
    pub column: String,
    /// Its path in the plate: `B/3`.
    pub path: String,
    /// Its fields.
    pub fields: Vec<Field>,
}

/// A field of a well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its path in the well.
    pub path: String,
    /// The acquisition that it is of.
    pub acquisition: Option<u64>,
}

/// Keys of a plate that say what is where; the others are kept.
const LAYOUT: [&str; 5] = ["rows", "columns", "wells", "version", "field_count"];

fn text(value: &Value, key: &str) -> Option<String> {
    value.get(key)?.as_str().map(str::to_owned)
}

fn list<'v>(value: &'v Value, key: &str) -> impl Iterator<Item = &'v Value> + use<'v> {
    value.get(key).and_then(Value::as_array).into_iter().flatten()
}

impl Plate {
    /// Reads a plate; `None` if there is something else at the path.
    ///
    /// # Errors
    /// [`IoError::Header`] for a plate without wells, or a well that cannot be read; [`IoError::Io`].
    pub fn open(path: &Path, remote: &Remote) -> Result<Option<Self>, IoError> {
        // Fields of a zip have no paths of their own.
        if is_zip(path) {
            return Ok(None);
        }
        let Some(store) = zarr_at(path, remote)? else { return Ok(None) };
        let name = path.display().to_string();
        let group = |at: &str| node::ome(&store, &name, at);
        let root = match group("") {
            // What is damaged is no plate; opening it as an image says what is wrong.
            Err(IoError::Header { .. }) => None,
            other => other?,
        };
        let Some(plate) = root.and_then(|mut ome| ome.remove("plate")) else { return Ok(None) };
        let bad = |field: &str, problem: String| IoError::Header {
            store: name.clone(),
            field: field.to_owned(),
            problem,
        };
        let names =
            |key: &str| -> Vec<String> { list(&plate, key).filter_map(|one| text(one, "name")).collect() };
        let (rows, columns) = (names("rows"), names("columns"));
        let mut wells = Vec::new();
        for (n, well) in list(&plate, "wells").enumerate() {
            let at = format!("plate.wells[{n}]");
            let path =
                text(well, "path").filter(|p| !p.split('/').any(|part| matches!(part, "" | ".." | ".")));
            let path = path.ok_or_else(|| bad(&at, "has no path in the plate".to_owned()))?;
            let (row, column) = path.split_once('/').unwrap_or(("", &path));
            let found = group(&path)?.and_then(|mut ome| ome.remove("well"));
            let found = found.ok_or_else(|| bad(&at, format!("is `{path}`, which is no well")))?;
            let field = |image: &Value| {
                let path = text(image, "path")
                    .filter(|p| !matches!(p.as_str(), "" | ".." | ".") && !p.contains('/'))?;
                Some(Field { path, acquisition: image.get("acquisition").and_then(Value::as_u64) })
            };
            let fields = list(&found, "images").filter_map(field).collect();
            wells.push(Well { row: row.to_owned(), column: column.to_owned(), path, fields });
        }
        let mut attributes = plate.as_object().cloned().unwrap_or_default();
        attributes.retain(|key, _| !LAYOUT.contains(&key.as_str()));
        Ok(Some(Self { rows, columns, wells, attributes }))
    }

    /// A plate with a field for each of these rows, columns and numbers, in any order. Rows are ordered as letters of
    /// plates are, `Z` before `AA`, columns as numbers.
    #[must_use]
    pub fn of(fields: &[(String, String, String)]) -> Self {
        let order = |name: &str| (name.parse::<u64>().unwrap_or(u64::MAX), name.len(), name.to_owned());
        let sorted = |names: BTreeSet<&String>| {
            let mut names: Vec<String> = names.into_iter().cloned().collect();
            names.sort_by_key(|name| order(name));
            names
        };
        let rows = sorted(fields.iter().map(|(row, _, _)| row).collect());
        let columns = sorted(fields.iter().map(|(_, column, _)| column).collect());
        let mut wells: BTreeMap<(usize, usize), usize> = BTreeMap::new();
        for (row, column, _) in fields {
            let at = |names: &[String], name: &String| names.iter().position(|n| n == name).unwrap_or(0);
            *wells.entry((at(&rows, row), at(&columns, column))).or_default() += 1;
        }
        let well = |((row, column), count): ((usize, usize), usize)| {
            let (row, column) = (rows[row].clone(), columns[column].clone());
            let fields = (0..count).map(|n| Field { path: n.to_string(), acquisition: None }).collect();
            Well { path: format!("{row}/{column}"), row, column, fields }
        };
        let wells = wells.into_iter().map(well).collect();
        Self { rows, columns, wells, attributes: Map::new() }
    }

    /// Paths of all fields in the plate, well by well: `B/3/0`.
    #[must_use]
    pub fn fields(&self) -> Vec<String> {
        let of =
            |well: &Well| well.fields.iter().map(|f| format!("{}/{}", well.path, f.path)).collect::<Vec<_>>();
        self.wells.iter().flat_map(of).collect()
    }

    /// Leaves out the fields that are not among `paths`, and wells without fields.
    pub fn keep(&mut self, paths: &BTreeSet<String>) {
        for well in &mut self.wells {
            let path = well.path.clone();
            well.fields.retain(|f| paths.contains(&format!("{path}/{}", f.path)));
        }
        self.wells.retain(|well| !well.fields.is_empty());
    }

    fn plate(&self, version: OmeVersion) -> Value {
        let mut out = self.attributes.clone();
        let named = |names: &[String]| names.iter().map(|n| json!({ "name": n })).collect::<Vec<_>>();
        let index = |names: &[String], name: &str| names.iter().position(|n| n == name).unwrap_or(0);
        let well = |w: &Well| json!({"path": w.path, "rowIndex": index(&self.rows, &w.row), "columnIndex": index(&self.columns, &w.column)});
        if version == OmeVersion::V04 {
            out.insert("version".into(), version.name().into());
        }
        out.insert("rows".into(), named(&self.rows).into());
        out.insert("columns".into(), named(&self.columns).into());
        out.insert("wells".into(), self.wells.iter().map(well).collect());
        let most = self.wells.iter().map(|w| w.fields.len()).max().unwrap_or(0);
        out.insert("field_count".into(), most.into());
        out.into()
    }
}

/// Where a field lies: its well, as `B3`, and its path in it. `None` for what is no field of a plate.
///
/// # Errors
/// [`IoError::Remote`] if the place cannot be asked.
pub fn field_of(path: &Path, remote: &Remote) -> Result<Option<(String, String)>, IoError> {
    use crate::RemoteProblem::{Broken, TimedOut, Unreachable};
    let name = |path: &Path| path.file_name().map(|n| n.to_string_lossy().into_owned());
    let (Some(well), Some(field)) = (path.parent(), name(path)) else { return Ok(None) };
    let Some((row, column)) = well.parent().and_then(name).zip(name(well)) else { return Ok(None) };
    let asked = || match zarr_at(well, remote)? {
        Some(store) => node::ome(&store, "", ""),
        None => Ok(None),
    };
    match asked() {
        Err(IoError::Remote {
            action,
            url,
            problem: problem @ (TimedOut { .. } | Unreachable { .. } | Broken { .. }),
        }) => Err(IoError::Remote { action, url, problem }),
        // What cannot be read is no well.
        found => {
            Ok(found.ok().flatten().filter(|ome| ome.contains_key("well")).map(|_| (row + &column, field)))
        }
    }
}

/// A plate on its way: groups of rows and wells are there, and the root says that it is not complete.
pub struct PlateWriter {
    place: Placed,
    version: OmeVersion,
}

impl PlateWriter {
    /// Makes the groups of a plate at a place.
    ///
    /// # Errors
    /// [`IoError::Io`], [`IoError::Remote`].
    pub fn begin(place: Placed, plate: &Plate, version: OmeVersion) -> Result<Self, IoError> {
        let writer = Self { place, version };
        writer.put("", node::unfinished())?;
        let mut rows = BTreeSet::new();
        for well in &plate.wells {
            if rows.insert(&well.row) && well.path.contains('/') {
                writer.put(&well.row, Map::new())?;
            }
            writer.well(well)?;
        }
        Ok(writer)
    }

    /// Makes the plate complete, with the fields that it has by now.
    ///
    /// # Errors
    /// [`IoError::Io`].
    pub fn finish(self, plate: &Plate) -> Result<(), IoError> {
        for well in &plate.wells {
            self.well(well)?;
        }
        self.put("", self.ome("plate", plate.plate(self.version)))?;
        self.place.finish()
    }

    /// Removes what was made, and puts back what was there before.
    pub fn abort(self) {
        drop(self.place);
    }

    fn well(&self, well: &Well) -> Result<(), IoError> {
        let image = |field: &Field| {
            let mut image = json!({ "path": field.path });
            if let Some(acquisition) = field.acquisition {
                image["acquisition"] = acquisition.into();
            }
            image
        };
        let mut out = json!({ "images": well.fields.iter().map(image).collect::<Vec<_>>() });
        if self.version == OmeVersion::V04 {
            out["version"] = self.version.name().into();
        }
        self.put(&well.path, self.ome("well", out))
    }

    fn ome(&self, key: &str, value: Value) -> Map<String, Value> {
        let inner = Map::from_iter([(key.to_owned(), value)]);
        if self.version == OmeVersion::V04 {
            return inner;
        }
        let mut ome = Map::from_iter([("version".to_owned(), Value::from(self.version.name()))]);
        ome.extend(inner);
        Map::from_iter([("ome".to_owned(), Value::Object(ome))])
    }

    fn put(&self, at: &str, attributes: Map<String, Value>) -> Result<(), IoError> {
        for (key, document) in node::group(self.version, attributes) {
            let key = if at.is_empty() { key } else { format!("{at}/{key}") };
            self.place.store().put(&key, format!("{document:#}\n").as_bytes())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{About, Codec, Format, OutputOptions};

    /// Room for a plate.
    fn at(root: &Path, overwrite: bool) -> Result<Placed, IoError> {
        OutputOptions {
            path: root.to_path_buf(),
            format: Format::ZarrV3,
            axis_order: None,
            chunk: None,
            shard: None,
            codec: Codec::None,
            overwrite,
            bare: true,
            about: About::default(),
            remote: Remote::new(),
        }
        .place()
    }

    #[test]
    fn a_plate_is_read_as_it_was_written() {
        let names = [("AA", "2", "1"), ("B", "10", "1"), ("B", "2", "2"), ("B", "2", "1")];
        let names = names.map(|(r, c, f)| (r.to_owned(), c.to_owned(), f.to_owned()));
        let mut plate = Plate::of(&names);
        assert_eq!(
            (plate.rows.clone(), plate.columns.clone()),
            (vec!["B".into(), "AA".into()], vec!["2".into(), "10".into()])
        );
        assert_eq!(plate.fields(), ["B/2/0", "B/2/1", "B/10/0", "AA/2/0"]);
        plate
            .attributes
            .insert("acquisitions".into(), json!([{"id": 4, "name": "a", "maximumfieldcount": 2}]));
        plate.wells[0].fields[1].acquisition = Some(4);
        let remote = Remote::new();
        for version in OmeVersion::ALL {
            let place = tempfile::tempdir().unwrap();
            let root = place.path().join("plate.zarr");
            let open = || Plate::open(&root, &remote).unwrap();
            let writer = PlateWriter::begin(at(&root, false).unwrap(), &plate, version).unwrap();
            assert_eq!(open(), None, "before it is complete");
            writer.finish(&plate).unwrap();
            assert_eq!(open(), Some(plate.clone()));
            assert_eq!(field_of(&root.join("B/10/0"), &remote).unwrap(), Some(("B10".into(), "0".into())));
            assert_eq!(field_of(&root.join("B/10"), &remote).unwrap(), None);
            assert!(matches!(at(&root, false), Err(IoError::Exists { .. })));
            PlateWriter::begin(at(&root, true).unwrap(), &Plate::default(), version).unwrap().abort();
            assert_eq!(open(), Some(plate.clone()));
        }
    }

    #[test]
    fn fields_that_failed_are_left_out() {
        let mut plate =
            Plate::of(&[("A".into(), "1".into(), "0".into()), ("A".into(), "2".into(), "0".into())]);
        plate.keep(&BTreeSet::from(["A/2/0".to_owned()]));
        assert_eq!(plate.fields(), ["A/2/0"]);
        assert_eq!(plate.wells.len(), 1);
    }
}
