//! Vectors of stains that have been measured: absorbances in red, green and blue, as scikit-image and ImageJ have them
//! (measured by G. Landini and by Ruifrok and Johnston).

use super::{Matrix, completed};

/// Stains that are used together.
pub(crate) struct Named {
    /// As scikit-image's matrix `…_from_rgb` is called; `he` and `hdab` are ours.
    pub(crate) name: &'static str,
    /// Of each result. A third one without a stain is what the other two leave.
    pub(crate) stains: [&'static str; 3],
    vectors: Vectors,
}

enum Vectors {
    Two([[f64; 3]; 2]),
    Three(Matrix),
}

impl Named {
    pub(crate) fn of(name: &str) -> Option<&'static Self> {
        ALL.iter().find(|named| named.name == name)
    }

    /// A row for each stain.
    pub(crate) fn matrix(&self) -> Matrix {
        match self.vectors {
            Vectors::Two(two) => completed(two),
            Vectors::Three(rows) => rows,
        }
    }
}

/// The name of what two stains leave.
pub(crate) const RESIDUAL: &str = "residual";

const DAB: [f64; 3] = [0.268, 0.570, 0.776];
const HAEMATOXYLIN: [f64; 3] = [0.650, 0.704, 0.286];
const HDAB: Vectors = Vectors::Two([HAEMATOXYLIN, DAB]);

/// Names of all, in the order of [`ALL`], for the list of a parameter.
pub(crate) const NAMES: [&str; 13] =
    ["he", "hed", "hdab", "hdx", "fgx", "bex", "rbd", "gdx", "hax", "bro", "bpx", "ahx", "hpx"];

const ALL: [Named; NAMES.len()] = [
    Named {
        name: "he",
        stains: ["haematoxylin", "eosin", RESIDUAL],
        vectors: Vectors::Two([[0.644_211, 0.716_556, 0.266_844], [0.092_789, 0.954_111, 0.283_111]]),
    },
    Named {
        name: "hed",
        stains: ["haematoxylin", "eosin", "DAB"],
        vectors: Vectors::Three([[0.65, 0.70, 0.29], [0.07, 0.99, 0.11], [0.27, 0.57, 0.78]]),
    },
    Named { name: "hdab", stains: ["haematoxylin", "DAB", RESIDUAL], vectors: HDAB },
    Named { name: "hdx", stains: ["haematoxylin", "DAB", RESIDUAL], vectors: HDAB },
    Named {
        name: "fgx",
        stains: ["Feulgen", "light green", RESIDUAL],
        vectors: Vectors::Two([
            [0.464_209_21, 0.830_083_35, 0.308_271_87],
            [0.947_055_42, 0.253_738_21, 0.196_507_64],
        ]),
    },
    Named {
        name: "bex",
        stains: ["methyl blue", "eosin", RESIDUAL],
        vectors: Vectors::Two([
            [0.834_750_233, 0.513_556_283, 0.196_330_403],
            [0.092_789, 0.954_111, 0.283_111],
        ]),
    },
    Named {
        name: "rbd",
        stains: ["fast red", "fast blue", "DAB"],
        vectors: Vectors::Three([
            [0.213_939_21, 0.851_126_69, 0.477_940_22],
            [0.748_902_92, 0.606_241_61, 0.267_310_82],
            DAB,
        ]),
    },
    Named {
        name: "gdx",
        stains: ["methyl green", "DAB", RESIDUAL],
        vectors: Vectors::Two([[0.980_03, 0.144_316, 0.133_146], DAB]),
    },
    Named {
        name: "hax",
        stains: ["haematoxylin", "AEC", RESIDUAL],
        vectors: Vectors::Two([[0.650, 0.704, 0.286], [0.2743, 0.6796, 0.6803]]),
    },
    Named {
        name: "bro",
        stains: ["aniline blue", "azocarmine", "orange G"],
        vectors: Vectors::Three([
            [0.853_033, 0.508_733, 0.112_656],
            [0.092_898_75, 0.866_200_8, 0.490_984_68],
            [0.107_328_49, 0.367_654_03, 0.923_748_4],
        ]),
    },
    Named {
        name: "bpx",
        stains: ["methyl blue", "ponceau fuchsin", RESIDUAL],
        vectors: Vectors::Two([
            [0.799_510_7, 0.591_352_1, 0.105_286_67],
            [0.099_971_59, 0.737_386_05, 0.668_032_6],
        ]),
    },
    Named {
        name: "ahx",
        stains: ["alcian blue", "haematoxylin", RESIDUAL],
        vectors: Vectors::Two([[0.874_622, 0.457_711, 0.158_256], [0.552_556, 0.7544, 0.353_744]]),
    },
    Named {
        name: "hpx",
        stains: ["haematoxylin", "PAS", RESIDUAL],
        vectors: Vectors::Two([[0.644_211, 0.716_556, 0.266_844], [0.175_411, 0.972_178, 0.154_589]]),
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_has_its_vectors() {
        for name in NAMES {
            let named = Named::of(name).unwrap();
            assert!(super::super::inverse(&named.matrix()).is_some(), "{name}");
            assert_eq!(matches!(named.vectors, Vectors::Two(_)), named.stains[2] == RESIDUAL, "{name}");
        }
    }
}
