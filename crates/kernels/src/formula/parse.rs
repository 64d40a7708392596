//! From text to a tree, by precedence climbing.
//!
//! From loose to tight: `||` or `or`, `&&` or `and`, `not`, comparisons, `+ -`, `* /`, the signs `- + !`, `**` (also
//! written `^`), which binds its exponent from the right, as in Python: `-a**2` is `-(a**2)`, `not a > b` is `!(a > b)`.

use super::{Formula, One, Tree, Two};
use std::fmt;

/// Parts beyond which a formula is refused: a stack is only so deep.
const MOST: usize = 500;

/// What is wrong with a formula, and at which character, from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Something that no formula has at that place.
    Unexpected { at: usize, found: String },
    /// The end, where more is needed.
    Ends,
    /// A `(` without its `)`.
    Unclosed { at: usize },
    /// A name in front of `(` that is no function.
    NoFunction { name: String },
    /// A function with the wrong number of arguments.
    Arguments { name: &'static str, wanted: usize, given: usize },
    /// `a < b < c`.
    Chained { at: usize },
    /// No image at all.
    NoName,
    /// More parts than we take.
    Long,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unexpected { at, found } => write!(f, "`{found}` at character {at} is out of place"),
            Self::Ends => write!(f, "it ends too early"),
            Self::Unclosed { at } => write!(f, "the `(` at character {at} has no `)`"),
            Self::NoFunction { name } => {
                let known: Vec<&str> = FUNCTIONS.iter().map(|(name, _)| *name).collect();
                write!(f, "`{name}` is no function; there are {}", known.join(", "))
            }
            Self::Arguments { name, wanted, given } => {
                write!(f, "`{name}` takes {wanted} arguments and is given {given}")
            }
            Self::Chained { at } => {
                write!(f, "the comparison at character {at} follows another: join them with `&&`")
            }
            Self::NoName => write!(f, "it names no image; `input` is the source"),
            Self::Long => write!(f, "it has more than {MOST} parts"),
        }
    }
}

/// What a name in front of `(` means.
#[derive(Clone, Copy)]
enum Function {
    One(One),
    Two(Two),
    Where,
}

const FUNCTIONS: &[(&str, Function)] = &[
    ("abs", Function::One(One::Abs)),
    ("sqrt", Function::One(One::Sqrt)),
    ("exp", Function::One(One::Exp)),
    ("ln", Function::One(One::Ln)),
    ("log2", Function::One(One::Log2)),
    ("log10", Function::One(One::Log10)),
    ("floor", Function::One(One::Floor)),
    ("ceil", Function::One(One::Ceil)),
    ("round", Function::One(One::Round)),
    ("min", Function::Two(Two::Min)),
    ("max", Function::Two(Two::Max)),
    ("pow", Function::Two(Two::Pow)),
    ("where", Function::Where),
];

/// Operators between two values, with how tightly they bind. Where one begins with another, the longer stands first.
const OPERATORS: &[(&str, Two, u8)] = &[
    ("||", Two::Or, 1),
    ("or", Two::Or, 1),
    ("&&", Two::And, 2),
    ("and", Two::And, 2),
    ("<=", Two::LessOrEqual, COMPARISON),
    (">=", Two::GreaterOrEqual, COMPARISON),
    ("==", Two::Equal, COMPARISON),
    ("!=", Two::NotEqual, COMPARISON),
    ("<", Two::Less, COMPARISON),
    (">", Two::Greater, COMPARISON),
    ("+", Two::Add, 4),
    ("-", Two::Sub, 4),
    ("**", Two::Pow, POWER),
    ("*", Two::Mul, 5),
    ("/", Two::Div, 5),
    ("^", Two::Pow, POWER),
];
const COMPARISON: u8 = 3;
const SIGN: u8 = 6;
const POWER: u8 = 7;

/// Operators that are words, and so no names.
const WORDS: [&str; 3] = ["and", "or", "not"];

struct Parser<'a> {
    text: &'a str,
    /// Bytes read.
    at: usize,
    names: Vec<String>,
    /// Parts met so far.
    parts: usize,
}

pub(super) fn formula(text: &str) -> Result<Formula, Fault> {
    let mut parser = Parser { text, at: 0, names: Vec::new(), parts: 0 };
    let tree = parser.expression(0)?;
    if !parser.rest().is_empty() {
        return Err(parser.unexpected());
    }
    if parser.names.is_empty() {
        return Err(Fault::NoName);
    }
    Ok(Formula { names: parser.names, tree })
}

/// The letters, digits and underscores that a text begins with.
fn word(text: &str) -> &str {
    &text[..text.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(text.len())]
}

impl<'a> Parser<'a> {
    /// What is left, without the white space in front.
    fn rest(&mut self) -> &'a str {
        let rest = self.text[self.at..].trim_start();
        self.at = self.text.len() - rest.len();
        rest
    }

    /// Takes a text if it comes next.
    fn take(&mut self, wanted: &str) -> bool {
        let found = self.rest().starts_with(wanted);
        self.at += if found { wanted.len() } else { 0 };
        found
    }

    /// Number of the next character, from 1.
    fn place(&self) -> usize {
        self.text[..self.at].chars().count() + 1
    }

    fn unexpected(&mut self) -> Fault {
        match self.rest().chars().next() {
            None => Fault::Ends,
            Some(c) => Fault::Unexpected { at: self.place(), found: c.to_string() },
        }
    }

    /// An expression of operators that bind at least that tightly.
    fn expression(&mut self, least: u8) -> Result<Tree, Fault> {
        self.parts += 1;
        if self.parts > MOST {
            return Err(Fault::Long);
        }
        let mut left = self.operand()?;
        let mut compared = false;
        loop {
            let rest = self.rest();
            let next = match word(rest) {
                "" => OPERATORS.iter().find(|(sign, ..)| rest.starts_with(sign)),
                word => OPERATORS.iter().find(|(sign, ..)| *sign == word),
            };
            let Some(&(sign, two, binds)) = next.filter(|(.., binds)| *binds >= least) else {
                return Ok(left);
            };
            if binds == COMPARISON && std::mem::replace(&mut compared, true) {
                return Err(Fault::Chained { at: self.place() });
            }
            self.at += sign.len();
            // What follows must bind more tightly, except that a power's exponent is a power or a sign.
            let right = self.expression(if two == Two::Pow { SIGN } else { binds + 1 })?;
            left = Tree::Two(two, Box::new([left, right]));
        }
    }

    /// A number, a name, a call, or one with a sign or parentheses.
    fn operand(&mut self) -> Result<Tree, Fault> {
        if self.take("(") {
            let from = self.place() - 1;
            let inner = self.expression(0)?;
            return if self.take(")") { Ok(inner) } else { Err(self.unclosed(from)) };
        }
        if self.take("+") {
            return self.expression(SIGN);
        }
        for (sign, one) in [("-", One::Neg), ("!", One::Not)] {
            if self.take(sign) {
                return Ok(match (one, self.expression(SIGN)?) {
                    (One::Neg, Tree::Number(v)) => Tree::Number(-v),
                    (one, of) => Tree::One(one, Box::new(of)),
                });
            }
        }
        let rest = self.rest();
        if rest.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
            return self.number();
        }
        let name = word(rest);
        if name.is_empty() {
            return Err(self.unexpected());
        }
        if WORDS.contains(&name) && name != "not" {
            return Err(Fault::Unexpected { at: self.place(), found: name.to_owned() });
        }
        self.at += name.len();
        if name == "not" {
            return Ok(Tree::One(One::Not, Box::new(self.expression(COMPARISON)?)));
        }
        if self.take("(") { self.call(name) } else { Ok(Tree::Image(self.image(name))) }
    }

    fn unclosed(&mut self, from: usize) -> Fault {
        if self.rest().is_empty() { Fault::Unclosed { at: from } } else { self.unexpected() }
    }

    /// `12`, `.5`, `1e-3`.
    fn number(&mut self) -> Result<Tree, Fault> {
        let rest = self.rest();
        let digits = |from: usize| {
            from + rest[from..].find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len() - from)
        };
        let mut end = digits(0);
        if rest[end..].starts_with('.') {
            end = digits(end + 1);
        }
        if rest[end..].starts_with(['e', 'E']) {
            let sign = usize::from(rest[end + 1..].starts_with(['+', '-']));
            end = digits(end + 1 + sign);
        }
        let value = rest[..end].parse();
        let found = rest[..end].to_owned();
        let value = value.map_err(|_| Fault::Unexpected { at: self.place(), found })?;
        self.at += end;
        Ok(Tree::Number(value))
    }

    fn image(&mut self, name: &str) -> usize {
        self.names.iter().position(|n| n == name).unwrap_or_else(|| {
            self.names.push(name.to_owned());
            self.names.len() - 1
        })
    }

    /// The arguments of a function, up to `)`.
    fn call(&mut self, name: &str) -> Result<Tree, Fault> {
        let from = self.place() - 1;
        let known = FUNCTIONS.iter().find(|(known, _)| *known == name);
        let &(name, function) = known.ok_or_else(|| Fault::NoFunction { name: name.to_owned() })?;
        let mut arguments = vec![self.expression(0)?];
        while self.take(",") {
            arguments.push(self.expression(0)?);
        }
        if !self.take(")") {
            return Err(self.unclosed(from));
        }
        let given = arguments.len();
        let wrong = |wanted| Fault::Arguments { name, wanted, given };
        Ok(match function {
            Function::One(one) => {
                let [of] = arguments.try_into().map_err(|_| wrong(1))?;
                Tree::One(one, Box::new(of))
            }
            Function::Two(two) => Tree::Two(two, Box::new(arguments.try_into().map_err(|_| wrong(2))?)),
            Function::Where => Tree::Where(Box::new(arguments.try_into().map_err(|_| wrong(3))?)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The tree with all its parentheses.
    fn explicit(tree: &Tree, names: &[String]) -> String {
        let say = |t: &Tree| explicit(t, names);
        match tree {
            Tree::Image(n) => names[*n].clone(),
            Tree::Number(v) => v.to_string(),
            Tree::One(one, of) => format!("{one:?}({})", say(of)),
            Tree::Two(two, of) => format!("({} {two:?} {})", say(&of[0]), say(&of[1])),
            Tree::Where(of) => format!("Where({}, {}, {})", say(&of[0]), say(&of[1]), say(&of[2])),
        }
    }

    #[test]
    fn operators_bind_as_in_python() {
        for (text, wanted) in [
            ("a-b-c", "((a Sub b) Sub c)"),
            ("a + b*c", "(a Add (b Mul c))"),
            ("a/b*c", "((a Div b) Mul c)"),
            ("-a**2", "Neg((a Pow 2))"),
            ("a**-b", "(a Pow Neg(b))"),
            ("a**b**c", "(a Pow (b Pow c))"),
            ("a^2*b", "((a Pow 2) Mul b)"),
            ("2**a", "(2 Pow a)"),
            ("-a*b", "(Neg(a) Mul b)"),
            ("a - -1.5e-1", "(a Sub -0.15)"),
            ("a<b && !c>1 || d", "(((a Less b) And (Not(c) Greater 1)) Or d)"),
            ("a+1 >= b*.5", "((a Add 1) GreaterOrEqual (b Mul 0.5))"),
            ("where(a!=b, min(a, 1e3), abs(b))", "Where((a NotEqual b), (a Min 1000), Abs(b))"),
            ("not a > 1 and b or or_c", "((Not((a Greater 1)) And b) Or or_c)"),
            ("a > 1 and not (b or c)", "((a Greater 1) And Not((b Or c)))"),
            ("not not a", "Not(Not(a))"),
            ("a_and + notb", "(a_and Add notb)"),
            (" ( a_1 ) ", "a_1"),
            ("min + 1", "(min Add 1)"),
        ] {
            let formula = formula(text).unwrap_or_else(|fault| panic!("{text}: {fault}"));
            assert_eq!(explicit(&formula.tree, &formula.names), wanted, "{text}");
        }
        assert_eq!(formula("b+a*b+c").unwrap().names, ["b", "a", "c"]);
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        for (text, wanted) in [
            ("", "it ends too early"),
            ("a+", "it ends too early"),
            ("a b", "`b` at character 3 is out of place"),
            ("a + or", "`or` at character 5 is out of place"),
            ("and a", "`and` at character 1 is out of place"),
            ("a not b", "`n` at character 3 is out of place"),
            ("not", "it ends too early"),
            ("a + µ", "`µ` at character 5 is out of place"),
            ("(a-(b+c)", "the `(` at character 1 has no `)`"),
            ("sqrt(a", "the `(` at character 5 has no `)`"),
            ("(a]", "`]` at character 3 is out of place"),
            ("a*)", "`)` at character 3 is out of place"),
            ("1.2.3*a", "`.` at character 4 is out of place"),
            ("1e*a", "`1e` at character 1 is out of place"),
            (".+a", "`.` at character 1 is out of place"),
            ("min(a)", "`min` takes 2 arguments and is given 1"),
            ("a<b<c", "the comparison at character 4 follows another: join them with `&&`"),
            ("1+2", "it names no image; `input` is the source"),
            ("a = b", "`=` at character 3 is out of place"),
        ] {
            assert_eq!(formula(text).unwrap_err().to_string(), wanted, "{text}");
        }
        assert!(
            formula("sin(a)").unwrap_err().to_string().starts_with("`sin` is no function; there are abs, ")
        );
    }

    #[test]
    fn no_formula_exhausts_the_stack() {
        for text in ["-".repeat(100_000), "(".repeat(100_000), "a+".repeat(100_000), "a**".repeat(100_000)] {
            assert_eq!(formula(&(text + "a")), Err(Fault::Long));
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[-a-c0-9.eE+*/^()<>=!&|, µ]{0,24}") {
            let _ = formula(&text).map_err(|fault| fault.to_string());
        }
    }
}
