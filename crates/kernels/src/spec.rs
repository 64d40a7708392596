//! How an operation is described to the outside: its name, its parameters, and how it is built from text.

use crate::formula::Formula;
use std::collections::BTreeMap;
use std::sync::Arc;
use voxtile_sched::contract::Op;
use voxtile_sched::model::{Axis, AxisSet, Border, Dtype, Element, Meta};

/// One operation, as the table lists it.
pub struct Spec {
    /// Lower-case name in recipes: `gaussian`.
    pub name: &'static str,
    /// One line for lists and help.
    pub about: &'static str,
    /// Parameters in the order in which help shows them. The first may be given without its name.
    pub params: &'static [Param],
    /// Number of inputs, besides those that a formula names ([`Value::Formula`]); [`SEVERAL`] for two or more.
    pub inputs: usize,
    /// An example for help and docs, a whole step: `gaussian sigma=2`, or a recipe that ends with one.
    pub example: &'static str,
    /// Makes the operation from its arguments; callers use [`stages`](Self::stages).
    pub build: Build,
}

impl Spec {
    /// What a step of this operation consists of, each stage after the ones that it reads; the last one makes the
    /// result. Most operations are one stage.
    ///
    /// # Errors
    /// [`ArgError`], if the arguments are not what the parameters take.
    pub fn stages(&self, args: &Args<'_>) -> Result<Vec<Stage>, ArgError> {
        match self.build {
            Build::One(make) => {
                let inputs = (0..args.inputs.len()).map(From::Input).collect();
                Ok(vec![Stage { op: make(args)?, inputs }])
            }
            Build::Linear(make) => {
                let op = make(args)?;
                let mut stages = Vec::new();
                let inputs = vec![args.as_linear(&mut stages)?];
                stages.push(Stage { op, inputs });
                Ok(stages)
            }
            Build::Chain(make) | Build::Table(make) => make(args),
        }
    }

    /// The parameter whose text names inputs, if there is one.
    #[must_use]
    pub fn naming(&self) -> Option<&'static Param> {
        self.params.iter().find(|p| matches!(p.value, Value::Formula | Value::Names))
    }

    /// Whether the result is a table instead of an image.
    #[must_use]
    pub fn makes_table(&self) -> bool {
        matches!(self.build, Build::Table(_))
    }

    /// The names in the formula or the list of a step, which are its inputs after those that `on=` names; none, if the
    /// operation takes no such parameter or is given none. `given` is the text of a parameter.
    ///
    /// # Errors
    /// [`ArgError::Value`], if the formula is none.
    pub fn names<'a>(
        &'static self,
        given: impl Fn(&str) -> Option<&'a str>,
    ) -> Result<Vec<String>, ArgError> {
        let Some(param) = self.naming() else { return Ok(Vec::new()) };
        let Some(text) = given(param.name) else { return Ok(Vec::new()) };
        if param.value == Value::Names {
            return Ok(text.split(',').map(|name| name.trim().to_owned()).collect());
        }
        let args = Args::new(self, BTreeMap::from([(param.name, text)]), &[], None);
        args.formula(param.name).map(|formula| formula.names)
    }
}

/// Inputs of an operation that takes any number of them, at least two.
pub const SEVERAL: usize = usize::MAX;

/// How a step becomes operations.
pub enum Build {
    /// One operation over the step's inputs.
    One(fn(&Args<'_>) -> Result<Arc<dyn Op>, ArgError>),
    /// One operation over one input, which it takes as f32. Where a constant beyond the edge is no value of an integer
    /// image (`cval=0.5`), the image is cast before it is padded.
    Linear(fn(&Args<'_>) -> Result<Arc<dyn Op>, ArgError>),
    /// Several: what one makes is a neighbourhood's input again, and must be padded at the image edge by the border
    /// rule before the next one reads it. `open` is `erode`, then `dilate`.
    Chain(fn(&Args<'_>) -> Result<Vec<Stage>, ArgError>),
    /// One or several, the last of which makes a table.
    Table(fn(&Args<'_>) -> Result<Vec<Stage>, ArgError>),
}

/// One operation of a step.
pub struct Stage {
    /// The operation.
    pub op: Arc<dyn Op>,
    /// Where its inputs come from, in order.
    pub inputs: Vec<From>,
}

/// What a stage reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum From {
    /// Input of that number of the whole step.
    Input(usize),
    /// Result of an earlier stage of the same step.
    Stage(usize),
}

/// One parameter.
pub struct Param {
    /// Name in recipes.
    pub name: &'static str,
    /// What a value is.
    pub value: Value,
    /// Taken where the recipe gives none; `None` makes the parameter required. Empty text means "not given".
    pub default: Option<&'static str>,
    /// One line for help, with the unit.
    pub about: &'static str,
}

/// What the text of a parameter means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value {
    /// Lengths, one for all space axes or one per axis: `2`, `2px`, `0.5um`, `1,2,2`.
    Length,
    /// Whole voxels, one for all space axes or one per axis: `15`, `3,15,15`; `4um` is rounded to whole voxels.
    Size,
    /// A number.
    Number,
    /// A number, or one of these words.
    NumberOr(&'static [&'static str]),
    /// A list of numbers: `0,255`.
    Numbers,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// A sample type: `u8`, `float32`.
    Dtype,
    /// An axis: `z`.
    Axis,
    /// Axes, in an order that matters to some: `yx`.
    Axes,
    /// Positions along an axis, and half-open ranges of them: `2`, `0,3`, `10:20`.
    Positions,
    /// Half-open ranges, one per axis: `0:100,50:150`, `:` for all of an axis.
    Ranges,
    /// Voxels of a window, in rows of 0 and 1: `010/111/010`.
    Footprint,
    /// A formula: `(a-b)/(a+b+1)`. The results that it names are inputs of the step, in the order of its names.
    Formula,
    /// A formula over measurements of objects: `area > 50 and eccentricity < 0.9`.
    Condition,
    /// Names of results, with commas between them: inputs of the step, in that order.
    Names,
    /// Any text: a file, a name.
    Text,
}

/// The parameter `border`, for the list of every operation with a neighbourhood.
pub const BORDER: Param = Param {
    name: "border",
    value: Value::Choice(&Border::NAMES),
    default: Some("reflect"),
    about: "what stands beyond the image's edge, as in scipy.ndimage",
};

/// The parameter `cval`, beside [`BORDER`].
pub const CVAL: Param = Param {
    name: "cval",
    value: Value::Number,
    default: Some("0"),
    about: "value beyond the edge with border=constant",
};

/// Why arguments are refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ArgError {
    /// A required parameter is missing.
    #[error("`{op}` needs `{param}`")]
    Missing {
        /// The operation.
        op: &'static str,
        /// The parameter.
        param: &'static str,
    },
    /// The text is not what the parameter takes.
    #[error("`{op}`: `{param}={text}` is not {wanted}")]
    Value {
        /// The operation.
        op: &'static str,
        /// The parameter.
        param: &'static str,
        /// What was given.
        text: String,
        /// What it should be.
        wanted: String,
    },
    /// What the parameter takes, but not for this image or together with the other arguments.
    #[error("`{op}`: `{param}={text}` is not possible: {why}")]
    Impossible {
        /// The operation.
        op: &'static str,
        /// The parameter.
        param: &'static str,
        /// What was given.
        text: String,
        /// What stands against it.
        why: String,
    },
    /// A physical length, and the image does not say how large a voxel is.
    #[error("`{op}`: `{param}={text}` is a physical length, but the image has no pixel size along {axis}")]
    NoPixelSize {
        /// The operation.
        op: &'static str,
        /// The parameter.
        param: &'static str,
        /// What was given.
        text: String,
        /// The axis without a size.
        axis: Axis,
    },
    /// More values than the image has axes for.
    #[error("`{op}`: `{param}={text}` gives {given} values; the image has {axes} axes ({names})")]
    TooMany {
        /// The operation.
        op: &'static str,
        /// The parameter.
        param: &'static str,
        /// What was given.
        text: String,
        /// How many values.
        given: usize,
        /// How many axes count.
        axes: usize,
        /// Which axes count.
        names: AxisSet,
    },
}

/// The arguments of one step, and the image that it is applied to.
pub struct Args<'a> {
    spec: &'static Spec,
    given: BTreeMap<&'a str, &'a str>,
    inputs: &'a [Meta],
    border: Option<Border>,
}

impl<'a> Args<'a> {
    /// Arguments as text. `given` holds only names that the spec lists (the recipe parser checks them). `border` is
    /// what steps take that name no border themselves.
    #[must_use]
    pub fn new(
        spec: &'static Spec,
        given: BTreeMap<&'a str, &'a str>,
        inputs: &'a [Meta],
        border: Option<Border>,
    ) -> Self {
        Self { spec, given, inputs, border }
    }

    /// The image that the step is applied to: its first input.
    #[must_use]
    pub fn input(&self) -> &Meta {
        &self.inputs[0]
    }

    /// The images that the step reads.
    #[must_use]
    pub fn inputs(&self) -> &[Meta] {
        self.inputs
    }

    /// The text given, or the default; `None` if there is neither or if it is empty.
    #[must_use]
    pub fn text(&self, name: &'static str) -> Option<&'a str> {
        let default = || self.spec.params.iter().find(|p| p.name == name).and_then(|p| p.default);
        self.given.get(name).copied().or_else(default).filter(|t| !t.is_empty())
    }

    fn required(&self, name: &'static str) -> Result<&'a str, ArgError> {
        self.text(name).ok_or(ArgError::Missing { op: self.spec.name, param: name })
    }

    /// An error that says what the parameter should have been.
    pub fn wrong(&self, param: &'static str, text: &str, wanted: impl Into<String>) -> ArgError {
        ArgError::Value { op: self.spec.name, param, text: text.to_owned(), wanted: wanted.into() }
    }

    /// An error that says what stands against a parameter that would do elsewhere.
    pub fn impossible(&self, param: &'static str, why: impl Into<String>) -> ArgError {
        let text = self.text(param).unwrap_or_default().to_owned();
        ArgError::Impossible { op: self.spec.name, param, text, why: why.into() }
    }

    /// A finite or infinite number.
    ///
    /// # Errors
    /// Missing, or not a number.
    pub fn number(&self, name: &'static str) -> Result<f64, ArgError> {
        let text = self.required(name)?;
        text.trim().parse().map_err(|_| self.wrong(name, text, "a number"))
    }

    /// A finite number.
    ///
    /// # Errors
    /// Missing, or no finite number.
    pub fn finite(&self, name: &'static str) -> Result<f64, ArgError> {
        let text = self.required(name)?;
        let value = text.trim().parse().ok().filter(|v: &f64| v.is_finite());
        value.ok_or_else(|| self.wrong(name, text, "a finite number"))
    }

    /// A number kept exactly where it is whole; not NaN.
    ///
    /// # Errors
    /// Missing, or not a number.
    pub fn exact(&self, name: &'static str) -> Result<Number, ArgError> {
        let text = self.required(name)?;
        Number::parse(text.trim()).ok_or_else(|| self.wrong(name, text, "a number"))
    }

    /// A whole number within a range.
    ///
    /// # Errors
    /// Missing, not whole, or outside.
    pub fn whole(&self, name: &'static str, range: std::ops::RangeInclusive<u64>) -> Result<u64, ArgError> {
        let text = self.required(name)?;
        let value = text.trim().parse().ok().filter(|v| range.contains(v));
        value.ok_or_else(|| {
            let (least, most) = (range.start(), range.end());
            let upwards = format!("a whole number of {least} or more");
            let wanted =
                if *most == u64::MAX { upwards } else { format!("a whole number from {least} to {most}") };
            self.wrong(name, text, wanted)
        })
    }

    /// One finite number or more.
    ///
    /// # Errors
    /// Missing, or not numbers.
    pub fn number_list(&self, name: &'static str) -> Result<Vec<f64>, ArgError> {
        let text = self.required(name)?;
        let number = |t: &str| t.trim().parse().ok().filter(|v: &f64| v.is_finite());
        let values: Option<Vec<f64>> = text.split(',').map(number).collect();
        values.ok_or_else(|| self.wrong(name, text, "numbers with commas between them"))
    }

    /// Two numbers.
    ///
    /// # Errors
    /// Missing, not numbers, or another count.
    pub fn pair(&self, name: &'static str) -> Result<(f64, f64), ArgError> {
        let values = self.numbers(name, 2)?;
        Ok((values[0], values[1]))
    }

    /// Exactly `count` numbers.
    ///
    /// # Errors
    /// Missing, not numbers, or another count.
    pub fn numbers(&self, name: &'static str, count: usize) -> Result<Vec<f64>, ArgError> {
        let text = self.required(name)?;
        let wrong = || self.wrong(name, text, format!("{count} numbers with commas between them"));
        let values: Vec<f64> =
            text.split(',').map(|t| t.trim().parse().map_err(|_| wrong())).collect::<Result<_, _>>()?;
        if values.len() == count { Ok(values) } else { Err(wrong()) }
    }

    /// One of the words that the spec lists.
    ///
    /// # Errors
    /// Missing, or another word.
    pub fn choice(&self, name: &'static str) -> Result<&'static str, ArgError> {
        let text = self.required(name)?;
        let words = self.spec.params.iter().find(|p| p.name == name).map(|p| p.value);
        let Some(Value::Choice(words) | Value::NumberOr(words)) = words else {
            unreachable!("`{name}` is not a choice")
        };
        words
            .iter()
            .find(|w| **w == text)
            .copied()
            .ok_or_else(|| self.wrong(name, text, format!("one of {}", words.join(", "))))
    }

    /// A formula.
    ///
    /// # Errors
    /// Missing, or no formula.
    pub(crate) fn formula(&self, name: &'static str) -> Result<Formula, ArgError> {
        let text = self.required(name)?;
        Formula::parse(text).map_err(|fault| self.wrong(name, text, format!("a formula: {fault}")))
    }

    /// A sample type.
    ///
    /// # Errors
    /// Missing, or no sample type.
    pub fn dtype(&self, name: &'static str) -> Result<Dtype, ArgError> {
        let text = self.required(name)?;
        let names = Dtype::ALL.map(Dtype::name).join(", ");
        Dtype::from_name(text).ok_or_else(|| self.wrong(name, text, format!("one of {names}")))
    }

    /// An axis.
    ///
    /// # Errors
    /// Missing, or no axis.
    pub fn axis(&self, name: &'static str) -> Result<Axis, ArgError> {
        let text = self.required(name)?;
        Axis::from_name(text).ok_or_else(|| self.wrong(name, text, "one of t, c, z, y, x"))
    }

    /// The border rule of the step: its own, else the run's default, else `reflect`.
    ///
    /// # Errors
    /// An unknown rule, or a `cval` that is no number.
    pub fn border(&self) -> Result<Border, ArgError> {
        let cval = self.number("cval")?;
        match (self.given.contains_key("border"), self.border) {
            (false, Some(Border::Constant(_))) => Ok(Border::Constant(cval)),
            (false, Some(border)) => Ok(border),
            _ => {
                let name = self.choice("border")?;
                Ok(Border::from_name(name, cval).expect("choice lists the names"))
            }
        }
    }

    /// Where a filter that takes the image as f32 reads it from: the input, or, where the input's sample type does not
    /// hold what stands beyond the edge (`cval=0.5`), a stage that casts it before it is padded.
    pub(crate) fn as_linear(&self, stages: &mut Vec<Stage>) -> Result<From, ArgError> {
        if self.edge_fits()? {
            return Ok(From::Input(0));
        }
        stages.push(Stage { op: crate::ops::as_f32(), inputs: vec![From::Input(0)] });
        Ok(From::Stage(stages.len() - 1))
    }

    /// Whether the input's sample type holds what stands beyond the edge.
    fn edge_fits(&self) -> Result<bool, ArgError> {
        let Border::Constant(value) = self.border()? else { return Ok(true) };
        let dtype = self.input().dtype;
        let kept = voxtile_sched::dispatch!(dtype, T => T::from_f64(value).to_f64());
        Ok(dtype.is_float() || kept == value)
    }
}

mod lengths;
mod lists;
mod number;

pub use number::Number;

#[cfg(test)]
mod tests;
