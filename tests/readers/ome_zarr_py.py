"""What ome-zarr-py reads of an image, as JSON: axes, the scale of each level, sha256 of its voxels.

    python tests/readers/ome_zarr_py.py IMAGE
"""

import hashlib
import json
import sys
from pathlib import Path

import numpy as np
from ome_zarr.io import parse_url
from ome_zarr.reader import Reader

# Of a label image, the image that it belongs to comes first.
nodes = Reader(parse_url(sys.argv[1], mode="r"))()
image = next(node for node in nodes if node.zarr.basename() == Path(sys.argv[1]).name)
steps = image.metadata["coordinateTransformations"]
print(
    json.dumps(
        {
            "axes": [axis["name"] for axis in image.metadata["axes"]],
            "scales": [next(s["scale"] for s in level if s["type"] == "scale") for level in steps],
            "sha256": [hashlib.sha256(np.ascontiguousarray(level).tobytes()).hexdigest() for level in image.data],
        }
    )
)
