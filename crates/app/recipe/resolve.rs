//! From words to steps: names of operations, parameters and results are looked up here, for both written forms.

use super::{Arg, Place, Problem, Recipe, RecipeError, Ref, SOURCE, Step, What, suggest};
use std::ops::Range;
use std::sync::Arc;
use voxtile_kernels::ops;
use voxtile_kernels::spec::{SEVERAL, Spec};

/// Steps of a recipe, and inputs of one step, beyond which nothing is planned.
const MOST: usize = 300;

/// A word and the bytes of the text where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Word {
    pub(super) text: String,
    pub(super) span: Range<usize>,
}

/// A step as written.
#[derive(Debug, Default)]
pub(super) struct Raw {
    pub(super) op: Option<Word>,
    /// The first argument, if it has no name.
    pub(super) bare: Option<Word>,
    pub(super) args: Vec<(Word, Word)>,
    pub(super) on: Option<Vec<Word>>,
    pub(super) name: Option<Word>,
    pub(super) span: Range<usize>,
}

impl Recipe {
    /// Looks up the names of a step and appends it.
    pub(super) fn push(
        &mut self,
        raw: Raw,
        text: &Arc<str>,
        file: Option<&Arc<str>>,
    ) -> Result<(), RecipeError> {
        let place =
            |span: &Range<usize>| Place { file: file.cloned(), text: text.clone(), span: span.clone() };
        let fail = |problem, span: &Range<usize>| Err(RecipeError::new(problem, place(span)));

        if self.steps.len() >= MOST {
            return fail(Problem::TooMany { what: "steps", most: MOST }, &raw.span);
        }
        let Some(word) = raw.op else { return fail(Problem::EmptyStep, &raw.span) };
        let Some(spec) = ops::find(&word.text) else {
            let nearest = suggest(&word.text, ops::all().map(|s| s.name));
            return fail(Problem::UnknownOp { name: word.text, nearest }, &word.span);
        };

        let mut args: Vec<Arg> = Vec::new();
        if let Some(bare) = raw.bare {
            let Some(param) = spec.params.first() else {
                return fail(Problem::NoArgument { op: spec.name }, &bare.span);
            };
            args.push(Arg { param: param.name, value: bare.text, span: bare.span });
        }
        for (key, value) in raw.args {
            let Some(param) = spec.params.iter().find(|p| p.name == key.text) else {
                return fail(unknown_param(spec, key.text), &key.span);
            };
            if args.iter().any(|a| a.param == param.name) {
                return fail(Problem::Twice { param: key.text }, &key.span);
            }
            args.push(Arg { param: param.name, value: value.text, span: key.span.start..value.span.end });
        }
        args.sort_by_key(|a| spec.params.iter().position(|p| p.name == a.param));

        let mut inputs = match raw.on {
            None if spec.inputs == 1 => vec![self.last()],
            None => Vec::new(),
            Some(names) if spec.inputs == 0 => {
                return fail(Problem::InputsInFormula { op: spec.name }, &names[0].span);
            }
            Some(names) if names.len() > MOST => {
                return fail(Problem::TooMany { what: "inputs", most: MOST }, &word.span);
            }
            Some(names) => {
                names.iter().map(|n| self.find(&n.text, place(&n.span))).collect::<Result<_, _>>()?
            }
        };
        let several = spec.inputs == SEVERAL;
        if if several { inputs.len() < 2 } else { inputs.len() != spec.inputs } {
            let (op, wanted) = (spec.name.to_owned(), if several { 2 } else { spec.inputs });
            return fail(Problem::Inputs { op, wanted, given: inputs.len() }, &word.span);
        }
        inputs.extend(self.named_inside(spec, &args, |span| place(span))?);
        let name = match raw.name {
            None => None,
            Some(n) => Some(self.new_name(&n.text, place(&n.span))?),
        };
        let words = text[raw.span.clone()].trim().to_owned();
        let place = place(&word.span);
        self.steps.push(Step { what: What::Listed { op: spec.name, args }, inputs, name, words, place });
        if file.is_some() {
            // A table of TOML reads badly in a list of steps.
            let mut words = String::new();
            self.write_step(self.steps.len() - 1, &mut words).expect("writing to a string");
            self.steps.last_mut().expect("just pushed").words = words;
        }
        Ok(())
    }

    /// The result of that name.
    pub(super) fn find(&self, name: &str, place: Place) -> Result<Ref, RecipeError> {
        if name == SOURCE {
            return Ok(Ref::Source);
        }
        if let Some(i) = self.steps.iter().position(|s| s.name.as_deref() == Some(name)) {
            return Ok(Ref::Step(i));
        }
        let known: Vec<&str> =
            std::iter::once(SOURCE).chain(self.steps.iter().filter_map(|s| s.name.as_deref())).collect();
        let nearest = suggest(name, known.iter().copied()).map(str::to_owned);
        let known = known.into_iter().map(str::to_owned).collect();
        Err(RecipeError::new(Problem::UnknownName { name: name.to_owned(), nearest, known }, place))
    }

    /// The results that the formula or the list of a step names, if it has one.
    pub(super) fn named_inside(
        &self,
        spec: &'static Spec,
        args: &[Arg],
        place: impl Fn(&Range<usize>) -> Place,
    ) -> Result<Vec<Ref>, RecipeError> {
        let Some(naming) = spec.naming() else { return Ok(Vec::new()) };
        let Some(arg) = args.iter().find(|a| a.param == naming.name) else { return Ok(Vec::new()) };
        let names = spec.names(|_| Some(arg.value.as_str()));
        let names = names.map_err(|e| RecipeError::new(Problem::Argument(e), place(&arg.span)))?;
        names.iter().map(|name| self.find(name, place(&arg.span))).collect()
    }

    /// A name for a new result, if it is one and free.
    pub(super) fn new_name(&self, name: &str, place: Place) -> Result<String, RecipeError> {
        let good = name.starts_with(|c: char| c.is_ascii_alphabetic())
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
            && name != SOURCE;
        if !good {
            return Err(RecipeError::new(Problem::BadName { name: name.to_owned() }, place));
        }
        if self.steps.iter().any(|s| s.name.as_deref() == Some(name)) {
            return Err(RecipeError::new(Problem::NameTaken { name: name.to_owned() }, place));
        }
        Ok(name.to_owned())
    }

    /// Refuses a result that nothing reads: what the user meant by it would silently not happen.
    pub(super) fn check_used(&self) -> Result<(), RecipeError> {
        for i in 0..self.steps.len().saturating_sub(1) {
            if !self.steps[i + 1..].iter().any(|s| s.inputs.contains(&Ref::Step(i))) {
                return Err(RecipeError::new(Problem::Unused, self.steps[i].place.clone()));
            }
        }
        Ok(())
    }

    /// What `on=` calls a result.
    pub(super) fn name_of(&self, what: Ref) -> &str {
        match what {
            Ref::Source => SOURCE,
            Ref::Step(i) => self.steps[i].name.as_deref().unwrap_or_default(),
        }
    }
}

pub(super) fn unknown_param(spec: &'static Spec, param: String) -> Problem {
    let known: Vec<&'static str> = spec.params.iter().map(|p| p.name).collect();
    let nearest = suggest(&param, known.iter().copied());
    Problem::UnknownParam { op: spec.name, param, nearest, known }
}
