use super::*;
use proptest::prelude::*;
use voxtile_kernels::ops;

fn problem(text: &str) -> Problem {
    Recipe::parse(text).unwrap_err().problem
}

/// The words under the carets.
fn blamed(text: &str) -> String {
    let place = Recipe::parse(text).unwrap_err().place;
    place.text[place.span.clone()].to_owned()
}

#[test]
fn a_bare_first_argument_is_the_first_parameter() {
    let bare = Recipe::parse("gaussian 2|threshold 900").unwrap();
    assert_eq!(bare, Recipe::parse("  gaussian sigma=2 | threshold value=900 ").unwrap());
    assert_eq!(bare.to_string(), "gaussian sigma=2 | threshold value=900");
}

#[test]
fn names_make_a_graph() {
    let recipe = Recipe::parse(
        "gaussian 1 as a | gaussian 4 on=input as b | min 3 on=a as c | max 3 on=b | cast u8 on=c as d | cast u8 on=d",
    );
    // `max 3` is read by nobody.
    assert_eq!(recipe.unwrap_err().problem, Problem::Unused);
    let recipe = Recipe::parse("gaussian 1 as a | min 3 on=a | max 3").unwrap();
    assert_eq!(recipe.steps[1].inputs, [Ref::Step(0)]);
    assert_eq!(recipe.to_string(), "gaussian sigma=1 as a | min size=3 | max size=3");
}

#[test]
fn words_that_are_wrong_are_named() {
    assert!(matches!(problem(""), Problem::Empty));
    assert!(matches!(problem(" \n"), Problem::Empty));
    assert!(matches!(problem("gaussian 2 | "), Problem::EmptyStep));
    assert!(matches!(problem("| gaussian 2"), Problem::EmptyStep));
    assert!(matches!(problem("gausian 2"), Problem::UnknownOp { nearest: Some("gaussian"), .. }));
    assert_eq!(blamed("median 3 | gausian 2"), "gausian");
    assert!(matches!(problem("gaussian sigam=2"), Problem::UnknownParam { nearest: Some("sigma"), .. }));
    assert_eq!(blamed("gaussian sigam=2"), "sigam");
    assert!(matches!(problem("gaussian sigma=1, 2"), Problem::Stray { .. }));
    assert!(matches!(problem("gaussian sigma=2 sigma=3"), Problem::Twice { .. }));
    assert!(matches!(problem("gaussian 2 sigma=3"), Problem::Twice { .. }));
    assert!(matches!(problem("gaussian sigma="), Problem::NoValue { .. }));
    assert!(matches!(problem("invert 3"), Problem::NoArgument { op: "invert" }));
    assert!(matches!(problem("gaussian sigma=\"2"), Problem::Unclosed));
    assert!(matches!(problem("gaussian 2 as"), Problem::As));
    assert!(matches!(problem("gaussian 2 as a b"), Problem::As));
    assert!(matches!(problem("gaussian 2 as input"), Problem::BadName { .. }));
    assert!(matches!(problem("gaussian 2 as 2g"), Problem::BadName { .. }));
    assert!(matches!(problem("gaussian 2 as a | min 3 as a"), Problem::NameTaken { .. }));
    assert!(matches!(
        problem("gaussian 2 as blur | min 3 on=bulr"),
        Problem::UnknownName { nearest: Some(_), .. }
    ));
    assert_eq!(blamed("gaussian 2 as a | min 3 on=a,c"), "c");
    assert!(matches!(problem("min 3 on=input,input"), Problem::Inputs { wanted: 1, given: 2, .. }));
}

#[test]
fn toml_gives_the_same_recipe() {
    let toml = r#"
        [[step]]
        op = "gaussian"
        sigma = [1, 2.5, 2.5]
        as = "g"

        [[step]]
        op = "tophat"
        size = 15
        border = "nearest"
        on = "g"
    "#;
    let text = "gaussian 1,2.5,2.5 as g | tophat size=15 border=nearest";
    assert_eq!(Recipe::from_toml(toml, "r.toml").unwrap(), Recipe::parse(text).unwrap());
}

#[test]
fn toml_errors_name_the_line() {
    let error = |toml: &str| Recipe::from_toml(toml, "r.toml").unwrap_err().to_string();
    let unknown = error("[[step]]\nop = \"gaussian\"\nsigam = 2\n");
    assert!(
        unknown.starts_with("`gaussian` has no parameter `sigam`; `sigma` is nearest\n  r.toml, line 3"),
        "{unknown}"
    );
    assert!(error("[[step]]\nsigma = 2\n").contains("no `op`"));
    assert!(error("[step]\nop = \"invert\"\n").contains("[[step]]"));
    assert!(error("[[stop]]\nop = \"invert\"\n").contains("[[step]]"));
    assert!(error("[[step]\n").contains("not valid TOML"));
    assert!(error("").contains("empty"));
}

#[test]
fn the_names_in_a_formula_are_its_inputs() {
    let recipe =
        Recipe::parse("gaussian 1 as a | gaussian 4 on=input as b | expr \"(b-a)/(a+input)\"").unwrap();
    assert_eq!(recipe.steps[2].inputs, [Ref::Step(1), Ref::Step(0), Ref::Source]);
    assert_eq!(
        recipe.to_string(),
        "gaussian sigma=1 as a | gaussian sigma=4 on=input as b | expr formula=(b-a)/(a+input)"
    );
    let error = |text: &str| Recipe::parse(text).unwrap_err().to_string();
    assert!(error("expr input+g").starts_with("no earlier step is named `g`\n"), "{}", error("expr input+g"));
    assert!(
        error("expr input+1 on=input").starts_with("`expr` reads what its formula names: leave out `on=`\n")
    );
    let unclosed = error("gaussian 2 as g | expr \"(g + 1\"");
    let wanted = "`expr`: `formula=(g + 1` is not a formula: the `(` at character 1 has no `)`\n";
    assert!(unclosed.starts_with(wanted), "{unclosed}");
    // As a library builds it, and a step that would read itself.
    let built = |formula| {
        Recipe::default()
            .then("gaussian 2 as g | expr input")
            .unwrap()
            .named("e")
            .unwrap()
            .with("formula", formula)
    };
    assert_eq!(built("g/input").unwrap().steps[1].inputs, [Ref::Step(0), Ref::Source]);
    assert!(built("e+g").unwrap_err().to_string().starts_with("no earlier step is named `e`"));
}

/// Any recipe that the table allows, in canonical form.
fn recipes() -> impl Strategy<Value = String> {
    let step = (
        0..ops::TABLE.len(),
        proptest::collection::vec(proptest::option::of("[ -~µ|=\"'\\\\]{0,8}"), 8),
        proptest::bool::ANY,
        any::<proptest::sample::Index>(),
    );
    proptest::collection::vec(step, 1..6).prop_map(|steps| {
        let mut names = vec![SOURCE.to_owned()];
        let mut out = Vec::new();
        for (i, (op, values, from_last, pick)) in steps.into_iter().enumerate() {
            let spec = ops::TABLE[op];
            let mut words = vec![spec.name.to_owned()];
            for (param, value) in spec.params.iter().zip(values) {
                if let Some(mut value) = value {
                    if param.value == voxtile_kernels::spec::Value::Formula {
                        value = format!("{} + {}", pick.get(&names), value.len());
                    }
                    if param.value == voxtile_kernels::spec::Value::Names {
                        value = format!("{},{SOURCE}", pick.get(&names));
                    }
                    words.push(format!("{}={}", param.name, text::quoted(&value)));
                }
            }
            let last = names.last().unwrap().clone();
            let count = if spec.inputs == voxtile_kernels::spec::SEVERAL { 3 } else { spec.inputs };
            let inputs: Vec<String> = (0..count)
                .map(|n| if n == 0 && from_last { last.clone() } else { pick.get(&names).clone() })
                .collect();
            if !inputs.is_empty() && inputs != [last] {
                words.push(format!("on={}", inputs.join(",")));
            }
            names.push(format!("n{i}"));
            words.push(format!("as n{i}"));
            out.push(words.join(" "));
        }
        out.join(" | ")
    })
}

proptest! {
    #[test]
    fn text_and_recipe_are_inverse(text in recipes()) {
        let recipe = Recipe::default().then(&text).unwrap();
        prop_assert_eq!(recipe.to_string(), text);
        prop_assert_eq!(Recipe::default().then(&recipe.to_string()).unwrap(), recipe);
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in "[a-z |=\"'\\\\,.0-9µ\n]{0,40}") {
        if let Err(error) = Recipe::parse(&text) {
            let _ = error.to_string();
        }
        if let Err(error) = Recipe::from_toml(&text, "r.toml") {
            let _ = error.to_string();
        }
    }
}
