//! Recipes: the steps of a run, in the order in which they are made (SSA form).
//!
//! A recipe is written in one line, as in a shell — `gaussian sigma=4 as g | tophat size=15 on=g` —, or as a TOML
//! file with one `[[step]]` table per step; both give the same recipe. Parsing checks names; values are checked when
//! the recipe meets an image, because lengths may be physical and defaults may depend on the image.

mod error;
mod lower;
mod resolve;
mod text;
mod toml;

#[cfg(test)]
mod tests;

pub(crate) use error::suggest;
pub use error::{Place, Problem, RecipeError};

use std::fmt;
use std::ops::Range;
use std::str::FromStr;
use std::sync::Arc;
use voxtile_kernels::ops;
use voxtile_sched::contract::Op;

/// The name of the recipe's source.
const SOURCE: &str = "input";

/// What a run does: operations in order, each reading the source or earlier results.
///
/// ```
/// let recipe: voxtile::Recipe = "gaussian 2 as g | threshold value=900".parse()?;
/// assert_eq!(recipe.to_string(), "gaussian sigma=2 as g | threshold value=900");
/// # Ok::<(), voxtile::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Recipe {
    steps: Vec<Step>,
}

impl Recipe {
    /// The same, with the SHA-256 of every source that a step names, so that a recipe that is kept runs with no other.
    #[must_use]
    pub fn with_digests(mut self) -> Self {
        for step in &mut self.steps {
            let What::Listed { op, args } = &mut step.what else { continue };
            let takes =
                ops::find(op).is_some_and(|spec| spec.params.iter().any(|param| param.name == "sha256"));
            let file = args.iter().find(|arg| arg.param == "file").cloned();
            if let Some(file) = file.filter(|_| takes && !args.iter().any(|arg| arg.param == "sha256"))
                && let Some(value) = ops::source_digest(&file.value)
            {
                args.push(Arg { param: "sha256", value, span: file.span });
            }
        }
        self
    }

    /// The SHA-256 of each source of the user's own that a step runs, or of a name that is no file, nothing.
    #[must_use]
    pub fn sources(&self) -> Vec<(String, Option<String>)> {
        let mut sources = Vec::new();
        for step in &self.clone().with_digests().steps {
            let What::Listed { op, args } = &step.what else { continue };
            let value = |param| args.iter().find(|arg| arg.param == param).map(|arg| arg.value.clone());
            if ops::find(op).is_some_and(|spec| spec.params.iter().any(|param| param.name == "sha256"))
                && let Some(file) = value("file")
            {
                sources.push((file, value("sha256")));
            }
        }
        sources
    }
}

/// One step.
#[derive(Clone, Debug)]
struct Step {
    what: What,
    /// What it reads, in order.
    inputs: Vec<Ref>,
    /// Name of its result.
    name: Option<String>,
    /// The user's words.
    words: String,
    place: Place,
}

/// What a step does.
#[derive(Clone)]
enum What {
    /// An operation of the table, with its arguments in the order of its parameters.
    Listed { op: &'static str, args: Vec<Arg> },
    /// An operation from outside the table.
    Own(Arc<dyn Op>),
}

/// One argument.
#[derive(Clone, Debug)]
struct Arg {
    param: &'static str,
    value: String,
    span: Range<usize>,
}

/// What a step reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ref {
    Source,
    Step(usize),
}

impl Recipe {
    /// The last step as the user wrote it; empty without steps.
    pub(crate) fn last_words(&self) -> &str {
        self.steps.last().map_or("", |step| &step.words)
    }

    /// Reads the one-line form.
    ///
    /// # Errors
    /// [`RecipeError`], with the words that are to blame.
    pub fn parse(text: &str) -> Result<Self, RecipeError> {
        let recipe = Self::default().then(text)?;
        recipe.check_used()?;
        Ok(recipe)
    }

    /// Reads the TOML form; `file` is its name in messages.
    ///
    /// # Errors
    /// [`RecipeError`], with the line that is to blame.
    pub fn from_toml(toml: &str, file: &str) -> Result<Self, RecipeError> {
        let mut recipe = Self::default();
        let (text, file): (Arc<str>, Arc<str>) = (toml.into(), file.into());
        for raw in toml::steps(&text, &file)? {
            recipe.push(raw, &text, Some(&file))?;
        }
        recipe.check_used()?;
        Ok(recipe)
    }

    /// This recipe and the steps of `text` after it; the first of them reads the last result.
    ///
    /// # Errors
    /// [`RecipeError`], with the words that are to blame.
    pub fn then(mut self, text: &str) -> Result<Self, RecipeError> {
        let text: Arc<str> = text.into();
        for raw in text::steps(&text)? {
            self.push(raw, &text, None)?;
        }
        Ok(self)
    }

    /// This recipe and an operation from outside the table, which reads the results named `on` (`input` is the
    /// source); without names, the last result.
    ///
    /// # Errors
    /// [`Problem::UnknownName`].
    pub fn then_own(mut self, op: Arc<dyn Op>, on: &[&str]) -> Result<Self, RecipeError> {
        let words = op.name().to_owned();
        let place = Place { file: None, span: 0..words.len(), text: words.as_str().into() };
        let inputs = if on.is_empty() {
            vec![self.last()]
        } else {
            let find = |name: &&str| self.find(name, place.clone());
            on.iter().map(find).collect::<Result<_, _>>()?
        };
        self.steps.push(Step { what: What::Own(op), inputs, name: None, words, place });
        Ok(self)
    }

    /// Names the last result, so that `on=` can read it.
    ///
    /// # Errors
    /// [`Problem::BadName`], [`Problem::NameTaken`], or [`Problem::Empty`] before the first step.
    pub fn named(mut self, name: &str) -> Result<Self, RecipeError> {
        let place = Place { file: None, text: name.into(), span: 0..name.len() };
        let Some(last) = self.steps.len().checked_sub(1) else {
            return Err(RecipeError::new(Problem::Empty, place));
        };
        let name = self.new_name(name, place)?;
        self.steps[last].name = Some(name);
        Ok(self)
    }

    /// Sets a parameter of the last step, in place of what it was.
    ///
    /// # Errors
    /// [`Problem::UnknownParam`], or [`Problem::Empty`] before the first step.
    pub fn with(mut self, param: &str, value: &str) -> Result<Self, RecipeError> {
        let text = format!("{param}={}", text::quoted(value));
        let place = Place { file: None, span: 0..text.len(), text: text.as_str().into() };
        // The step itself is no result that its formula may name.
        let Some(mut step) = self.steps.pop() else {
            return Err(RecipeError::new(Problem::Empty, place));
        };
        let What::Listed { op, args } = &mut step.what else {
            let op = step.words.clone();
            return Err(RecipeError::new(Problem::OwnParam { op, param: param.to_owned() }, place));
        };
        let spec = ops::find(op).expect("looked up when the step was added");
        let Some(known) = spec.params.iter().find(|p| p.name == param) else {
            return Err(RecipeError::new(resolve::unknown_param(spec, param.to_owned()), place));
        };
        args.retain(|a| a.param != known.name);
        args.push(Arg { param: known.name, value: value.to_owned(), span: 0..0 });
        args.sort_by_key(|a| spec.params.iter().position(|p| p.name == a.param));
        step.inputs.truncate(spec.inputs);
        step.inputs.extend(self.named_inside(spec, args, |_| place.clone())?);
        self.steps.push(step);
        self.rewrite_last();
        Ok(self)
    }

    /// Number of steps.
    #[must_use]
    pub fn len(&self) -> usize {
        self.steps.len()
    }

    /// Whether there is no step: the source is copied.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// Writes one step in its canonical form.
    fn write_step(&self, i: usize, out: &mut impl fmt::Write) -> fmt::Result {
        let step = &self.steps[i];
        match &step.what {
            What::Listed { op, args } => {
                out.write_str(op)?;
                for arg in args {
                    write!(out, " {}={}", arg.param, text::quoted(&arg.value))?;
                }
            }
            What::Own(op) => out.write_str(op.name())?,
        }
        let default = i.checked_sub(1).map_or(Ref::Source, Ref::Step);
        let named = match &step.what {
            What::Listed { op, .. } => ops::find(op).map_or(0, |spec| spec.inputs),
            What::Own(_) => step.inputs.len(),
        };
        let inputs = &step.inputs[..named.min(step.inputs.len())];
        if named > 0 && inputs != [default] {
            let names: Vec<&str> = inputs.iter().map(|r| self.name_of(*r)).collect();
            write!(out, " on={}", names.join(","))?;
        }
        if let Some(name) = &step.name {
            write!(out, " as {name}")?;
        }
        Ok(())
    }

    /// Makes the canonical form of the last step its words, and finds its arguments there.
    fn rewrite_last(&mut self) {
        let last = self.steps.len() - 1;
        let mut words = String::new();
        self.write_step(last, &mut words).expect("writing to a string");
        let step = &mut self.steps[last];
        if let What::Listed { op, args } = &mut step.what {
            let mut at = op.len();
            for arg in args {
                let end = at + 2 + arg.param.len() + text::quoted(&arg.value).len();
                arg.span = at + 1..end;
                at = end;
            }
            step.place = Place { file: None, span: 0..op.len(), text: words.as_str().into() };
        }
        step.words = words;
    }

    /// What a step reads that does not say so.
    fn last(&self) -> Ref {
        self.steps.len().checked_sub(1).map_or(Ref::Source, Ref::Step)
    }
}

impl FromStr for Recipe {
    type Err = RecipeError;

    fn from_str(text: &str) -> Result<Self, RecipeError> {
        Self::parse(text)
    }
}

/// Two steps are equal if they do the same; where they were written does not count.
impl PartialEq for Step {
    fn eq(&self, other: &Self) -> bool {
        let what = match (&self.what, &other.what) {
            (What::Listed { op, args }, What::Listed { op: op2, args: args2 }) => {
                let same = |(a, b): (&Arg, &Arg)| a.param == b.param && a.value == b.value;
                op == op2 && args.len() == args2.len() && args.iter().zip(args2).all(same)
            }
            (What::Own(a), What::Own(b)) => Arc::ptr_eq(a, b),
            _ => false,
        };
        what && self.inputs == other.inputs && self.name == other.name
    }
}

impl fmt::Debug for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Listed { op, args } => f.debug_tuple(op).field(args).finish(),
            Self::Own(op) => f.debug_tuple("Own").field(&op.name()).finish(),
        }
    }
}

/// The canonical one-line form.
impl fmt::Display for Recipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for i in 0..self.steps.len() {
            if i > 0 {
                f.write_str(" | ")?;
            }
            self.write_step(i, f)?;
        }
        Ok(())
    }
}
