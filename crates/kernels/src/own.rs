//! A step whose arithmetic is a CUDA function of the user's own, in a file. It runs on a GPU only.
//!
//! One input of any type → an image of the same shape, of the type that `out` says; acts on the space axes. The function
//! makes one voxel from the voxels around it, as far as `halo`; tiles, their seams and the edge of the image are the
//! scheduler's, as for every other operation. See docs/own-kernels.md.

use crate::digest::sha256;
use crate::spec::{ArgError, Args, BORDER, Build, CVAL, Param, Spec, Value};
use std::fmt::Write;
use std::sync::Arc;
use voxtile_sched::contract::device::{Argument, Program, Sweep};
use voxtile_sched::contract::{Footprint, Kernels, Op, Refused};
use voxtile_sched::model::{Border, Dtype, Halo, Meta, PerAxis, Shape, Tile, TileMut};

/// `kernel file=my.cu name=f halo=3 out=f32`.
pub(crate) static SPEC: Spec = Spec {
    name: "kernel",
    about: "a CUDA function of your own, from a file; needs a GPU",
    params: &[
        Param { name: "file", value: Value::Text, default: None, about: "the CUDA source" },
        Param { name: "name", value: Value::Text, default: None, about: "the function in it" },
        Param {
            name: "halo",
            value: Value::Size,
            default: Some("0"),
            about: "how far the function reads to either side, in voxels",
        },
        Param {
            name: "out",
            value: Value::Text,
            default: Some(""),
            about: "sample type of the result; the input's by default",
        },
        Param {
            name: "args",
            value: Value::Numbers,
            default: Some(""),
            about: "up to 16 numbers for the function",
        },
        BORDER,
        CVAL,
        Param {
            name: "sha256",
            value: Value::Text,
            default: Some(""),
            about: "what the file must be, where a recipe was kept",
        },
    ],
    inputs: 1,
    example: "kernel file=my.cu name=f halo=3 out=f32",
    build: Build::One(|args| Ok(Arc::new(Own::new(args)?))),
};

/// Numbers that a function is given at most.
const NUMBERS: usize = 16;
/// What stands before the user's source.
const HEAD: &str = concat!(include_str!("../cu/common.cuh"), include_str!("../cu/own.cuh"));
/// The kernel that calls the user's function.
const ENTRY: &str = "voxtile_own_kernel";

struct Own {
    program: Arc<Program>,
    halo: PerAxis<u64>,
    border: Border,
    out: Option<Dtype>,
    numbers: Vec<f64>,
}

impl Own {
    fn new(args: &Args<'_>) -> Result<Self, ArgError> {
        let [file, name] = ["file", "name"].map(|param| args.text(param).unwrap_or_default());
        let identifier = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if !name.chars().all(identifier) || name.starts_with(|c: char| c.is_ascii_digit()) || name.is_empty()
        {
            return Err(args.wrong("name", name, "the name of a function"));
        }
        let source = std::fs::read_to_string(file)
            .map_err(|error| args.impossible("file", format!("it cannot be read: {error}")))?;
        let digest = sha256(source.as_bytes());
        if let Some(wanted) = args.text("sha256")
            && wanted != digest
        {
            return Err(args.impossible("sha256", format!("`{file}` is another source, {digest}")));
        }
        let out = args.text("out").map(|_| args.dtype("out")).transpose()?;
        let numbers = if args.text("args").is_some() { args.number_list("args")? } else { Vec::new() };
        if numbers.len() > NUMBERS {
            return Err(args.impossible("args", format!("a function is given {NUMBERS} numbers at most")));
        }
        let input = args.input().dtype;
        let made = out.unwrap_or(input);
        let halo = args.whole_px("halo")?;
        let program = Arc::new(Program {
            file: file.to_owned(),
            entry: ENTRY.to_owned(),
            text: text(file, &source, name, input, made),
            digest,
        });
        Ok(Self { program, halo, border: args.border()?, out, numbers })
    }
}

/// The whole source: what kernels share, the user's, and the kernel that calls its function.
fn text(file: &str, source: &str, name: &str, input: Dtype, out: Dtype) -> String {
    // Sample types have the names that `common.cuh` gives them.
    let quoted = file.replace('\\', "/").replace('"', "'");
    let mut text =
        format!("{HEAD}\ntypedef {input} In;\ntypedef {out} Out;\n#line 1 \"{quoted}\"\n{source}\n");
    let _ = write!(
        text,
        "#line 1 \"the call of {name}\"\n\
         KERNEL({ENTRY}, const Tile<const In> in, const Tile<Out> out, const Reach reach, const Given given) {{\n\
             each_around(in, out, reach, [&](const Around<In>& around) -> Out {{ return {name}(around, given.number); }});\n\
         }}\n"
    );
    text
}

impl Op for Own {
    fn name(&self) -> &'static str {
        SPEC.name
    }

    fn output(&self, inputs: &[Meta]) -> Result<Meta, Refused> {
        Ok(self.out.map_or_else(|| inputs[0].clone(), |dtype| inputs[0].with_dtype(dtype)))
    }

    fn footprint(&self, _input: usize) -> Footprint {
        if self.halo == [0; 5] { Footprint::Point } else { Footprint::Halo(Halo::symmetric(self.halo)) }
    }

    fn border(&self) -> Border {
        self.border
    }

    fn ns_per_voxel(&self) -> f64 {
        1.0
    }

    fn needs_device(&self) -> bool {
        true
    }

    fn cpu(&self, _: &[Tile<'_>], _: TileMut<'_>, _: &mut [u8]) {
        unreachable!("planned for a device only")
    }

    fn kernels(&self, _inputs: &[Dtype], _output: Dtype, _shape: &Shape) -> Option<Kernels> {
        let reach = self.halo[2..].iter().map(|&n| n as i64).collect();
        let arguments = vec![Argument::I64s(reach), Argument::F64s(self.numbers.clone(), NUMBERS)];
        let sweep = Sweep::over(ENTRY.to_owned(), arguments).weighing(4.0);
        Some(Kernels { program: Some(self.program.clone()), ..sweep.into() })
    }
}
