# Shorthands; `just` lists them. Nothing here is needed: each is one command that works without just.

_list:
    @just --list

# Everything that must pass before a change lands
check:
    bash .ci/run

# The tests, as the README runs them
test *ARGS:
    cargo test {{ARGS}}

# Format and lint
lint:
    cargo fmt --all
    cargo clippy --workspace --all-targets -- -D warnings

# Rewrite docs/ops.md and the table of figures in README.md after the operations or the results changed
docs:
    UPDATE_DOCS=1 cargo test --test main tidy

# Compare with other readers and writers, and with scipy and scikit-image; words choose checks
readers *WORDS:
    .ci/readers.sh {{WORDS}}

# Accept changed messages after looking at them (`cargo install cargo-insta`)
snapshots:
    cargo insta review

# Each operation against its floor
bench *ARGS:
    cargo bench -p voxtile-kernels {{ARGS}}

# voxtile and its peers on the same files in one run; DIR gets the inputs and outputs
peers DIR *ARGS:
    cargo build --release
    python benches/peers/run.py {{DIR}} {{ARGS}}

# Every operation beside the call of numpy, scipy or scikit-image that does the same, on one core
peers-ops *ARGS:
    cargo build --release
    cargo bench -p voxtile-kernels --bench step --no-run
    python benches/peers/ops.py {{ARGS}}

# What a voxel costs against the radius of the window, beside scipy and scikit-image; draws docs/radius.svg
peers-radius *ARGS:
    cargo bench -p voxtile-kernels --bench step --no-run
    python benches/peers/radius.py {{ARGS}}
