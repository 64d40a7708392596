//! Everything that can go wrong: one enum for the crate, and the enums of the crates below inside it.

pub use crate::recipe::{Place, Problem, RecipeError};
pub use voxtile_io::{Damage, Feature, IoError, RemoteProblem};
pub use voxtile_kernels::device::DeviceError;
pub use voxtile_kernels::spec::ArgError;
pub use voxtile_sched::contract::Refused;
pub use voxtile_sched::engine::{LevelError, PlanError, RunError};

use std::path::PathBuf;
use voxtile_io::MemoryError;
use voxtile_sched::model::{AxisSet, Dtype};

/// Why a pipeline was refused or failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The recipe cannot be used on this image.
    #[error(transparent)]
    Recipe(#[from] RecipeError),
    /// The plan is refused.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The run stopped.
    #[error(transparent)]
    Run(#[from] RunError),
    /// A store cannot be opened or made.
    #[error(transparent)]
    Io(Box<IoError>),
    /// An array that does not fit its shape, or memory for a result that is not there.
    #[error(transparent)]
    Memory(#[from] MemoryError),
    /// A GPU was asked for, and there is none that can be used.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// An output in a format that voxtile does not write.
    #[error("`{}`: voxtile does not write .{extension}", output.display())]
    Extension {
        /// The output.
        output: PathBuf,
        /// Its extension, in lower case.
        extension: String,
    },
    /// A recipe that makes a table, and an output that is an image by its name.
    #[error("`{step}` makes a table, and `{}` is an image by its name", output.display())]
    MakesTable {
        /// The step.
        step: String,
        /// The output.
        output: PathBuf,
    },
    /// A recipe that makes an image, and an output that is a table by its name.
    #[error("`{}` is a table by its name, and the recipe makes an image", output.display())]
    MakesImage {
        /// The output.
        output: PathBuf,
    },
    /// A table was asked for beside a result that has no objects.
    #[error("the result is neither a label image nor a mask: nothing to measure")]
    NoLabels,
    /// A result that is no label image, and an output that is one.
    #[error("the result has {is}, and the output is a label image")]
    NoLabelImage {
        /// What it has instead.
        is: String,
    },
    /// A label image that does not lie on its image.
    #[error("the labels are {labels}, and `{}` is {image}", path.display())]
    LabelsBeside {
        /// Axes and sizes.
        labels: String,
        /// Axes and sizes.
        image: String,
        /// The image.
        path: PathBuf,
    },
    /// A table of a format that is not written.
    #[error("`{}`: a table is a .csv or a .parquet", table.display())]
    TableFormat {
        /// Where it should go.
        table: PathBuf,
    },
    /// A table was asked for beside a table.
    #[error("the recipe ends in `{step}`, whose table goes to the output; `{}` would be a second one", table.display())]
    TwoTables {
        /// The step that makes the table.
        step: String,
        /// Where the second one should go.
        table: PathBuf,
    },
    /// A pattern, folder or list without images.
    #[error("`{}` is no image, and names none", input.display())]
    NoImages {
        /// The pattern, folder or list.
        input: PathBuf,
    },
    /// Parts of the work cannot write to such an output at the same time.
    #[error("`{}` is one file, which parts cannot write side by side", output.display())]
    NoParts {
        /// The output.
        output: PathBuf,
    },
    /// A pipeline without a place for its result was run.
    #[error("the pipeline has no output")]
    NoOutput,
    /// The result has another sample type than the one it is collected into.
    #[error("the result is {is}, not {wanted}")]
    Dtype {
        /// The result's type.
        is: Dtype,
        /// The type asked for.
        wanted: Dtype,
    },
    /// A list of sizes has more entries than the image has axes.
    #[error("{option}: {given} sizes for an image with axes {axes}")]
    Sizes {
        /// What was set.
        option: &'static str,
        /// Entries given.
        given: usize,
        /// Axes of the image.
        axes: AxisSet,
    },
    /// An array whose rank is not 1 to 5, or whose axes do not fit its rank.
    #[error("an array of rank {rank} cannot have the axes `{axes}`")]
    Axes {
        /// Rank of the array.
        rank: usize,
        /// Axes asked for; empty for the default ones.
        axes: String,
    },
}

impl From<IoError> for Error {
    fn from(error: IoError) -> Self {
        Self::Io(Box::new(error))
    }
}

impl Error {
    /// The store's error inside, wherever it happened.
    #[must_use]
    pub fn store(&self) -> Option<&IoError> {
        match self {
            Self::Io(error) => Some(error),
            Self::Run(
                RunError::Read { source, .. }
                | RunError::Write { source, .. }
                | RunError::Finish { source }
                | RunError::Spill { source },
            ) => source.downcast_ref(),
            _ => None,
        }
    }

    /// Whether the run was stopped by its [`Cancel`](crate::Cancel).
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        matches!(self, Self::Run(RunError::Cancelled { .. }))
    }
}
