//! Formulas over images: `(a - b) / (a + b + 1)`.
//!
//! [`Formula::parse`] makes a tree, [`program::Program`] evaluates it on rows of voxels. The tree knows neither text nor
//! rows, so that another device can be given the same formula.

mod parse;
mod program;

pub(crate) use parse::Fault;
pub(crate) use program::{Program, WIDTH};

/// A formula: its names, and the tree in which they are numbers.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Formula {
    /// The images that it names, in the order in which it names them first.
    pub(crate) names: Vec<String>,
    /// What it says.
    pub(crate) tree: Tree,
}

impl Formula {
    /// Reads a formula: numbers, names, `+ - * / **`, comparisons, `&& || !`, functions, parentheses.
    pub(crate) fn parse(text: &str) -> Result<Self, Fault> {
        parse::formula(text)
    }

    /// Whether the result is 0 or 1 for any input.
    pub(crate) fn is_mask(&self) -> bool {
        match &self.tree {
            Tree::One(One::Not, _) => true,
            Tree::Two(two, ..) => two.is_logical(),
            _ => false,
        }
    }
}

/// An expression.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Tree {
    /// The voxel of the image of that number.
    Image(usize),
    /// The same number everywhere.
    Number(f64),
    /// A function of one value.
    One(One, Box<Tree>),
    /// A function of two values.
    Two(Two, Box<[Tree; 2]>),
    /// The second where the first is not 0 (NaN is not 0), else the third.
    Where(Box<[Tree; 3]>),
}

/// Functions of one value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum One {
    Neg,
    Not,
    Abs,
    Sqrt,
    Exp,
    Ln,
    Log2,
    Log10,
    Floor,
    Ceil,
    Round,
}

/// Functions of two values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Two {
    Add,
    Sub,
    Mul,
    Div,
    Pow,
    Min,
    Max,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Equal,
    NotEqual,
    And,
    Or,
}

impl Two {
    /// Whether it answers 0 or 1.
    fn is_logical(self) -> bool {
        use Two::{And, Equal, Greater, GreaterOrEqual, Less, LessOrEqual, NotEqual, Or};
        matches!(self, Less | LessOrEqual | Greater | GreaterOrEqual | Equal | NotEqual | And | Or)
    }
}
