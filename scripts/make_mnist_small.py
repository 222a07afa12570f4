"""Make the MNIST subset that the package carries from the four full files.

    python scripts/make_mnist_small.py FOLDER-WITH-THE-FULL-FILES

Stratified: every class keeps its share of the full set, to within one image. Which images
of a class are kept follows from SHA-256 alone (`fedward.seeds.derive`), so that no version
of any library changes the choice; they stay in the order of the full set.
"""

import argparse
from pathlib import Path

import torch
from jaxtyping import Int64
from torch import Tensor

from fedward.data.idx import read_idx, write_idx
from fedward.seeds import derive

SEED = 2023
SIZES = {"train": 10_000, "t10k": 2_000}
EMBEDDED = Path(__file__).parents[1] / "src" / "fedward" / "data" / "embedded"


def quotas(counts: Int64[Tensor, " classes"], size: int) -> Int64[Tensor, " classes"]:
    """Images a class of a stratified subset: largest remainder, ties to the lower class."""
    whole = counts * size // counts.sum()
    remainder = counts * size % counts.sum()
    missing = size - int(whole.sum())
    whole[remainder.argsort(descending=True, stable=True)[:missing]] += 1
    return whole


def chosen(
    labels: Int64[Tensor, " images"], size: int, part: str
) -> Int64[Tensor, " kept"]:
    """Positions of the images that are kept, ascending."""
    order = torch.tensor([derive(SEED, "mnist-small", part, i) for i in range(len(labels))])
    kept = []
    for label, quota in enumerate(quotas(labels.bincount(), size).tolist()):
        members = torch.nonzero(labels == label).flatten()
        kept.append(members[order[members].argsort()[:quota]])
    return torch.cat(kept).sort().values


def main() -> None:
    """Read the full files, write the small ones."""
    parser = argparse.ArgumentParser(description="Make the embedded MNIST subset.")
    parser.add_argument("full", type=Path, help="folder with the four full .gz files")
    parser.add_argument("--out", type=Path, default=EMBEDDED, help="folder to write")
    arguments = parser.parse_args()
    for part, size in SIZES.items():
        images, labels = f"{part}-images-idx3-ubyte.gz", f"{part}-labels-idx1-ubyte.gz"
        named = read_idx(arguments.full / labels, 1)
        kept = chosen(named.long(), size, part)
        write_idx(arguments.out / images, read_idx(arguments.full / images, 3)[kept])
        write_idx(arguments.out / labels, named[kept])
        print(f"{part}: {len(kept)} of {len(named)} images")


if __name__ == "__main__":
    main()
