//! Chains that nobody thought of: steps drawn from those that have kernels, on images of every type that has.

use super::{done, emulated, put};
use crate::house::{collect, read};
use voxtile::op::Dtype;
use voxtile::{Device, Pipeline, Recipe};
use voxtile_kernels::testing::{Float, Image, Random};

/// Steps that take any of the types and give one of them, on volumes and planes.
const STEPS: [&str; 40] = [
    "gaussian 1.3",
    "gaussian 1 precision=fast border=nearest",
    "mean 4",
    "median 3",
    "median size=5 shape=ball border=mirror",
    "percentile 80 size=2",
    "erode 5",
    "dilate size=3 shape=cross iterations=2",
    "open size=3 shape=ball",
    "tophat 7",
    "sobel",
    "laplace border=constant cval=2",
    "gradient sigma=1",
    "log sigma=1",
    "variance 3",
    "std size=4",
    "bilateral sigma-color=90 sigma-spatial=0.7 size=3",
    "tv-denoise weight=20 iterations=3",
    "sato sigmas=1",
    "unsharp 1",
    "gamma 0.7 max=4000",
    "sqrt",
    "abs",
    "exp",
    "clamp min=1 max=900",
    "invert",
    "expr \"where(input > 300, input / 2, 300 - input)\"",
    "mask on=input,input outside=3",
    "threshold 300",
    "threshold otsu",
    "threshold local size=5 method=sauvola",
    "flip axes=yx",
    "rotate90 k=3",
    "pad 2 border=wrap",
    "downsample 2 method=max",
    "downsample 2 out=f32",
    "resample factor=1.5",
    "normalize",
    "equalize",
    "cast u16",
];

#[test]
fn random_chains_have_the_same_bits() {
    let dir = tempfile::tempdir().unwrap();
    let mut random = Random::new(17);
    let mut draw = |n: usize| random.below(n as u64) as usize;
    let mut on_device = 0;
    for chain in 0..24 {
        let dtype = [Dtype::U8, Dtype::U16, Dtype::F32][chain % 3];
        let sizes: [&[u64]; 2] = [&[7, 19, 22], &[3, 40, 37]];
        let image = Image::noise("zyx", sizes[draw(2)], dtype, chain as u64);
        let mut steps: Vec<String> = Vec::new();
        for n in 0..2 + draw(3) {
            // What a step calls the input is the result before it.
            let before = format!("r{n}");
            let step = STEPS[draw(STEPS.len())].replace("input", &before);
            if step.contains(&before) {
                steps.push(format!("abs as {before}"));
            }
            steps.push(step);
        }
        let recipe = steps.join(" | ");
        let [input, output] = ["in", "out"].map(|n| dir.path().join(format!("{n}{chain}.zarr")));
        put(&image, &input);
        let [from, to] = [&input, &output].map(|path| path.to_str().unwrap());
        let tile = ["3,9,11", "64"][draw(2)];
        let args = ["run", from, to, &recipe, "--tile", tile, "--device", "cuda", "--verbose"];
        let Some(mut command) = emulated(&args, &[]) else { return };
        let said = done(&mut command);
        on_device += usize::from(said.contains("runs    on Emulated GPU"));
        let parsed = Recipe::parse(&recipe).unwrap();
        let wanted = collect(|| Pipeline::open(&input).unwrap().recipe(parsed.clone()).device(Device::Cpu)).0;
        read(&output).assert_same(&wanted, Float::Exact, || format!("`{recipe}` on {dtype} in {tile}"));
    }
    assert_eq!(on_device, 24);
}
