//! What can be wrong with a recipe, and where.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use voxtile_kernels::spec::ArgError;
use voxtile_sched::contract::Refused;

/// A recipe that cannot be used, and the words that are to blame.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{problem}{place}")]
pub struct RecipeError {
    /// What is wrong.
    pub problem: Problem,
    /// Where.
    pub place: Box<Place>,
}

impl RecipeError {
    pub(super) fn new(problem: Problem, place: Place) -> Self {
        Self { problem, place: Box::new(place) }
    }
}

/// A place in the text of a recipe. Displays as the line with carets under the words meant, on lines of their own;
/// as nothing, if there is no text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Name of the recipe file; `None` for a recipe given as words.
    pub file: Option<Arc<str>>,
    /// The whole text.
    pub text: Arc<str>,
    /// Bytes of it that are meant.
    pub span: Range<usize>,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.text.trim().is_empty() {
            return Ok(());
        }
        let start = self.span.start.min(self.text.len());
        let line_start = self.text[..start].rfind('\n').map_or(0, |n| n + 1);
        let line_end = self.text[start..].find('\n').map_or(self.text.len(), |n| start + n);
        let line = &self.text[line_start..line_end];
        if let Some(file) = &self.file {
            let number = self.text[..line_start].matches('\n').count() + 1;
            write!(f, "\n  {file}, line {number}")?;
        }
        let before = self.text[line_start..start].chars().count();
        let marked = self.text[start..self.span.end.clamp(start, line_end)].chars().count().max(1);
        write!(f, "\n  {}", line.replace('\t', " "))?;
        write!(f, "\n  {:before$}{:^<marked$}", "", "")
    }
}

/// What is wrong with a recipe.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// No step at all.
    #[error("the recipe is empty")]
    Empty,
    /// Nothing between two `|`.
    #[error("there is no operation here")]
    EmptyStep,
    /// No operation has that name.
    #[error("there is no operation `{name}`{}", or_nearest(.nearest.as_ref()))]
    UnknownOp {
        /// The name given.
        name: String,
        /// The most similar one that exists.
        nearest: Option<&'static str>,
    },
    /// The operation has no such parameter.
    #[error("`{op}` has no parameter `{param}`{}", or_nearest(.nearest.as_ref()))]
    UnknownParam {
        /// The operation.
        op: &'static str,
        /// The name given.
        param: String,
        /// The most similar one that exists.
        nearest: Option<&'static str>,
        /// All that exist.
        known: Vec<&'static str>,
    },
    /// A word that is neither the first argument nor `key=value`.
    #[error("`{word}` stands alone: arguments after the first are written key=value")]
    Stray {
        /// The word.
        word: String,
    },
    /// A first argument without a name, for an operation without parameters.
    #[error("`{op}` takes no argument")]
    NoArgument {
        /// The operation.
        op: &'static str,
    },
    /// A parameter for an operation from outside the table: it is made with its parameters.
    #[error("`{op}` is your own operation and takes no parameter `{param}`")]
    OwnParam {
        /// The operation.
        op: String,
        /// The name given.
        param: String,
    },
    /// A parameter given twice.
    #[error("`{param}` is given twice")]
    Twice {
        /// The parameter.
        param: String,
    },
    /// `key=` without a value.
    #[error("`{param}=` has no value")]
    NoValue {
        /// The parameter.
        param: String,
    },
    /// A quoted string without an end.
    #[error("the quoted text has no end")]
    Unclosed,
    /// `as` is not followed by exactly one name at the end of the step.
    #[error("`as` takes one name and ends the step")]
    As,
    /// Not a name for a result.
    #[error(
        "`{name}` cannot name a result: use a letter, then letters, digits, `-` and `_`; `input` is the source"
    )]
    BadName {
        /// What was given.
        name: String,
    },
    /// Two results with one name.
    #[error("the name `{name}` is taken by an earlier step")]
    NameTaken {
        /// The name.
        name: String,
    },
    /// `on=` names no earlier result.
    #[error("no earlier step is named `{name}`{}", or_nearest(.nearest.as_ref()))]
    UnknownName {
        /// The name given.
        name: String,
        /// The most similar one.
        nearest: Option<String>,
        /// All that exist.
        known: Vec<String>,
    },
    /// The wrong number of inputs.
    #[error("`{op}` takes {wanted} {}, this names {given}", plural(*.wanted, "input"))]
    Inputs {
        /// The operation.
        op: String,
        /// How many it takes.
        wanted: usize,
        /// How many are named.
        given: usize,
    },
    /// `on=` for an operation whose inputs are the names in its formula.
    #[error("`{op}` reads what its formula names: leave out `on=`")]
    InputsInFormula {
        /// The operation.
        op: &'static str,
    },
    /// More steps, or more inputs of one, than are planned.
    #[error("there are more than {most} {what}")]
    TooMany {
        /// `steps`, `inputs`.
        what: &'static str,
        /// How many are read.
        most: usize,
    },
    /// A result that no later step reads.
    #[error("nothing reads the result of this step")]
    Unused,
    /// The recipe file is not the TOML that we expect.
    #[error("{message}")]
    Toml {
        /// What is expected, or what the parser says.
        message: String,
    },
    /// A parameter's value does not do.
    #[error(transparent)]
    Argument(#[from] ArgError),
    /// The operation does not take what it is given.
    #[error("`{op}` {refused}")]
    Refused {
        /// The operation.
        op: String,
        /// Its word.
        refused: Refused,
    },
}

fn or_nearest(name: Option<&impl fmt::Display>) -> String {
    name.map_or_else(String::new, |n| format!("; `{n}` is nearest"))
}

fn plural(count: usize, noun: &str) -> String {
    if count == 1 { noun.to_owned() } else { format!("{noun}s") }
}

/// The most similar of the known names, if any is similar enough to be what was meant.
pub(crate) fn suggest<'a>(given: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let given = given.to_lowercase();
    let limit = given.chars().count().div_ceil(3).max(1);
    known
        .map(|name| {
            let starts = given.len() >= 3 && (name.starts_with(&given) || given.starts_with(name));
            let distance = strsim::damerau_levenshtein(&given, name);
            (if starts { distance.min(1) } else { distance }, name)
        })
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_finger_is_recognised_and_another_word_is_not() {
        let known = ["gaussian", "median", "mean", "min"];
        let found = |w: &str| suggest(w, known.into_iter());
        assert_eq!(found("gausian"), Some("gaussian"));
        assert_eq!(found("Gaussian"), Some("gaussian"));
        assert_eq!(found("gauss"), Some("gaussian"));
        assert_eq!(found("maen"), Some("mean"));
        assert_eq!(found("watershed"), None);
    }

    #[test]
    fn a_place_shows_its_own_line_and_counts_characters() {
        let text: Arc<str> = "one\nµµ two three\nfour".into();
        let start = text.find("two").unwrap();
        let place = Place { file: Some("r.toml".into()), span: start..start + 3, text };
        assert_eq!(place.to_string(), "\n  r.toml, line 2\n  µµ two three\n     ^^^");
    }
}
