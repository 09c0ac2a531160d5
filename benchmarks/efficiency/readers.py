"""From files to pools, one reader a kind of source; what is done to each table is in the docstring of `pools`."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from efficiency import encodings
from efficiency.pool import Column, Kind, Pool

if TYPE_CHECKING:
    import pandas as pd

    from discover.values import FloatArray
    from efficiency.catalogue import Entry


def _pool(
    one: Entry, frame: pd.DataFrame, inputs: dict[str, Kind], target: str, direction: Literal["maximize", "minimize"],
    *, described: dict[str, Any] | None = None, common: Callable[[pd.DataFrame], tuple[Sequence[str], FloatArray]] | None = None,
    remarks: tuple[str, ...] = (),
) -> Pool:  # fmt: skip
    """Drops rows with gaps, joins replicates, encodes. inputs: {column: kind}; common: another encoding of the rows."""
    whole = frame.dropna(subset=[*inputs, target])
    if dropped := len(frame) - len(whole):
        remarks = (*remarks, f"{dropped} rows without a value or an input dropped")
    grouped = whole.groupby(list(inputs), sort=False)[target]
    values = [tuple(group.astype(float)) for _, group in grouped]
    rows = whole.drop_duplicates(list(inputs)).reset_index(drop=True)
    if len(rows) < len(whole):
        remarks = (
            *remarks,
            f"{len(whole)} measurements of {len(rows)} candidates: the truth is their mean, one is told",
        )
    described, constant = _telling(described or {})
    if constant:
        remarks = (*remarks, f"descriptors of {', '.join(constant)} left out: all categories have the same")
    columns = tuple(Column(n, kind, tuple(rows[n].tolist()), described.get(n, {})) for n, kind in inputs.items())
    names, table = common(rows) if common else _common(rows, inputs)
    varies = table.max(axis=0) > table.min(axis=0)
    if not varies.all():
        remarks = (*remarks, f"{int((~varies).sum())} numbers that are the same for all rows left out")
        names, table = [name for name, kept in zip(names, varies, strict=True) if kept], table[:, varies]
    ids = tuple(f"{one.name}-{row:05d}" for row in range(len(rows)))
    truth = np.array([float(np.mean(group)) for group in values])
    return Pool(one, ids, columns, target, direction, truth, tuple(values), tuple(names), table, remarks)


def _telling(described: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Descriptors by column and category, without those of columns in which all categories have the same; these columns."""
    alike = [
        column
        for column, categories in described.items()
        if categories and all(told == next(iter(categories.values())) for told in categories.values())
    ]
    return {column: told for column, told in described.items() if column not in alike}, alike


def _common(rows: pd.DataFrame, inputs: dict[str, Kind]) -> tuple[list[str], FloatArray]:
    names: list[str] = []
    parts: list[FloatArray] = []
    for name, kind in inputs.items():
        if kind == "number":
            names.append(name)
            parts.append(rows[[name]].to_numpy(dtype=np.float64))
        elif kind == "formula":
            names += encodings.composition_names()
            parts.append(encodings.compositions(rows[name].tolist()))
        else:
            categories, hot = encodings.one_hot(rows[name].tolist())
            names += [f"{name}={category}" for category in categories]
            parts.append(hot)
    return names, np.ascontiguousarray(np.hstack(parts))


def _csv(path: Path, **options: Any) -> pd.DataFrame:
    import pandas as pd

    return pd.read_csv(path, **options)


def _pvlab(folder: str, file: str, target: str, direction: Any) -> Callable[[Entry, Path], Pool]:
    def read(one: Entry, data: Path) -> Pool:
        frame = _csv(data / folder / file, encoding="utf-8-sig")
        return _pool(one, frame, {str(n): "number" for n in frame.columns if n != target}, target, direction)

    return read


def _olympus(folder: str, target: str, direction: Any) -> Callable[[Entry, Path], Pool]:
    def read(one: Entry, data: Path) -> Pool:
        config = json.loads((data / folder / "config.json").read_text())
        names = [parameter["name"] for parameter in config["parameters"]]
        frame = _csv(data / folder / "data.csv", header=None, names=[*names, target])
        return _pool(one, frame, dict.fromkeys(names, "number"), target, direction)

    return read


def _feconi(target: str) -> Callable[[Entry, Path], Pool]:
    def read(one: Entry, data: Path) -> Pool:
        frame = _csv(data / "nist_feconi" / "feconi_table.csv")
        return _pool(one, frame, {"Co": "number", "Fe": "number", "Ni": "number"}, target, "maximize")

    return read


def _edbo(folder: str, molecules: Sequence[str], numbers: Sequence[str] = ()) -> Callable[[Entry, Path], Pool]:
    def read(one: Entry, data: Path) -> Pool:
        frame = _csv(data / folder / "experiment_index.csv")
        inputs: dict[str, Kind] = {f"{m}_SMILES": "smiles" for m in molecules}
        inputs.update(dict.fromkeys(numbers, "number"))
        described = {f"{m}_SMILES": _mordred(data / folder, m.lower()) for m in molecules}
        return _pool(one, frame, inputs, "yield", "maximize", described=described)

    return read


def _mordred(folder: Path, molecule: str) -> dict[str, dict[str, float]]:
    frame = _csv(folder / f"{molecule}_mordred.csv")
    return encodings.descriptors(frame, lambda name: name.removeprefix(f"{molecule}_"))


def _buchwald(one: Entry, data: Path) -> Pool:
    names = ("aryl_halide", "additive", "base", "ligand")
    frame = _csv(data / f"olympus_{one.name}" / "data.csv", header=None, names=[*names, "yield"])
    described = {}
    for name in names:
        table = _mordred(data / "edbo_aryl_amination", name)
        if missing := set(frame[name]) - set(table):
            raise KeyError(f"{one.name}: no descriptors of {sorted(missing)}")
        described[name] = {molecule: table[molecule] for molecule in sorted(set(frame[name]))}
    return _pool(one, frame, dict.fromkeys(names, "smiles"), "yield", "maximize", described=described)


def _suzuki_flow(one: Entry, data: Path) -> Pool:
    inputs: dict[str, Kind] = {"ligand": "category"}
    inputs.update(dict.fromkeys(("res_time", "temperature", "catalyst_loading"), "number"))
    folder = one.name.replace("suzuki_flow", "olympus_suzuki")
    frame = _csv(data / folder / "data.csv", header=None, names=[*inputs, "yield", "turnover"])
    return _pool(one, frame, inputs, "yield", "maximize")


def _scope(file: str, inputs: dict[str, Kind], target: str) -> Callable[[Entry, Path], Pool]:
    """A screen of conditions over a scope of substrates: each pair of the two is a candidate."""

    def read(one: Entry, data: Path) -> Pool:
        return _pool(one, _csv(data / file), inputs, target, "maximize")

    return read


def _maldi(one: Entry, data: Path) -> Pool:
    frame = _csv(data / f"bandit_{one.name}" / f"{one.name.replace('_', '-')}.csv")
    undisclosed = frame["substrate_smiles"].str.contains("[R]", regex=False)
    frame["substrate_smiles"] = frame["substrate_smiles"].str.replace("[R]", "C", regex=False)
    remarks = (
        f"in {frame.loc[undisclosed, 'substrate_id'].nunique()} substrates a methyl group stands for an undisclosed R",
    )
    inputs: dict[str, Kind] = {"substrate_smiles": "smiles", "condition": "category"}
    return _pool(one, frame, inputs, "Normalized MALDI Pdt/IS", "maximize", remarks=remarks)


def _bulk_modulus(one: Entry, data: Path) -> Pool:
    import pandas as pd

    folder = data / "crabnet_mp_bulk_modulus"
    frame = pd.concat([_csv(folder / f"{part}.csv") for part in ("train", "val", "test")], ignore_index=True)
    kept = frame[frame["target"] <= 500.0]
    remarks = (f"{len(frame) - len(kept)} values above 500 GPa dropped",)
    return _pool(one, kept, {"formula": "formula"}, "target", "maximize", remarks=remarks)


def _band_gap(one: Entry, data: Path) -> Pool:
    frame = _csv(data / "matbench_expt_gap" / "expt_gap.csv", keep_default_na=False)
    frame["target"] = frame["target"].astype(float)
    return _pool(one, frame, {"formula": "formula"}, "target", "maximize")


def _structures(
    one: Entry,
    formulas: list[str],
    structures: list[Any],
    target: list[float],
    groups: list[int] | None = None,
    remarks: tuple[str, ...] = (),
) -> Pool:
    """A pool of structures; those written alike are one candidate. groups: numbers of space groups, found where not given."""
    import pandas as pd

    texts = [json.dumps(structure) for structure in structures]
    known = dict(zip(texts, groups, strict=True)) if groups else {}
    frame = pd.DataFrame({"structure": texts, "formula": formulas, "target": target})

    def common(rows: pd.DataFrame) -> tuple[Sequence[str], FloatArray]:
        shape = encodings.rounded(np.array([_shape(text, known.get(text)) for text in rows["structure"]]))
        names = [*encodings.composition_names(), "volume_per_atom", "density", "sites", "space_group"]
        return names, np.hstack([encodings.compositions(rows["formula"].tolist()), shape])

    inputs: dict[str, Kind] = {"structure": "structure", "formula": "formula"}
    return _pool(one, frame, inputs, "target", "maximize", common=common, remarks=remarks)


def _shape(text: str, group: int | None) -> list[float]:
    """Volume per atom, density, number of sites, and of the space group (0 where it is not found)."""
    from pymatgen.core import Structure
    from pymatgen.symmetry.analyzer import SpacegroupAnalyzer, SymmetryUndeterminedError

    structure = Structure.from_dict(json.loads(text))
    if group is None:
        try:
            group = SpacegroupAnalyzer(structure).get_space_group_number()
        except SymmetryUndeterminedError:
            group = 0
    return [structure.volume / len(structure), float(structure.density), float(len(structure)), float(group)]


def _elastic(one: Entry, data: Path) -> Pool:
    body = json.loads((data / "mp_elastic_2015" / "elastic_tensor_2015_cleaned.json").read_text())
    place = {name: body["columns"].index(name) for name in ("structure", "formula", "K_VRH")}
    structures, formulas, target = ([row[place[name]] for row in body["data"]] for name in place)
    return _structures(one, formulas, structures, target)


def _dielectric(one: Entry, data: Path) -> Pool:
    with gzip.open(data / "matbench_dielectric_structures" / "matbench_dielectric.json.gz") as file:
        body = json.load(file)
    rows = sorted((row for row, n in body["n"].items() if n <= 10.0), key=int)
    formulas = [body["formula"][row].replace(" ", "") for row in rows]
    remarks = (f"{len(body['n']) - len(rows)} refractive indices above 10 dropped",)
    structures, target, groups = ([body[name][row] for row in rows] for name in ("structure", "n", "spg_num"))
    return _structures(one, formulas, structures, target, groups, remarks)


def _perovskites_chgnet(one: Entry, data: Path) -> Pool:
    frame = _csv(data / "chgnet_perovskites" / "chgnet_cubic_perovskites.csv", keep_default_na=False)
    kept = frame[frame["min_inside_range"].astype(str) == "True"]
    remarks = (f"{len(frame) - len(kept)} without a minimum inside the range dropped",)
    kept = kept.assign(bulk_modulus_GPa=kept["bulk_modulus_GPa"].astype(float))
    return _pool(one, kept, {"formula": "formula"}, "bulk_modulus_GPa", "maximize", remarks=remarks)


def _perovskites_hybrid(one: Entry, data: Path) -> Pool:
    folder = data / "olympus_perovskites"
    names = ("organic", "cation", "anion")
    frame = _csv(folder / "data.csv", header=None, names=[*names, "hse_gap"], keep_default_na=False)
    frame["hse_gap"] = frame["hse_gap"].astype(float)
    described: dict[str, dict[str, dict[str, float]]] = {name: {} for name in names}
    for name, category, descriptor, value in _csv(folder / "descriptors.csv", header=None).itertuples(index=False):
        described[name].setdefault(str(category), {})[str(descriptor)] = float(value)
    return _pool(one, frame, dict.fromkeys(names, "category"), "hse_gap", "minimize", described=described)


def _toy_hill(one: Entry, data: Path) -> Pool:
    """A smooth hill over an 8 by 8 grid, every corner measured twice."""
    import pandas as pd

    grid = [(a / 7, b / 7) for a in range(8) for b in range(8)]
    rows = [(a, b, float(np.exp(-4 * (a - 0.7) ** 2 - 4 * (b - 0.3) ** 2))) for a, b in grid]
    rows += [(a, b, y + 0.01) for a, b, y in rows if {a, b} <= {0.0, 1.0}]
    return _pool(one, pd.DataFrame(rows, columns=["a", "b", "y"]), {"a": "number", "b": "number"}, "y", "maximize")


def _toy_solvents(one: Entry, data: Path) -> Pool:
    """Twelve solvents at five temperatures; the descriptor `polarity` tells what the name hides."""
    import pandas as pd

    polarity = {f"s{k:02d}": {"polarity": float((5 * k) % 12)} for k in range(12)}
    rows = [(s, t, (d["polarity"] - 8.0) ** 2 + (t - 3) ** 2) for s, d in polarity.items() for t in range(1, 6)]
    frame = pd.DataFrame(rows, columns=["solvent", "temperature", "loss"])
    inputs: dict[str, Kind] = {"solvent": "category", "temperature": "number"}
    return _pool(one, frame, inputs, "loss", "minimize", described={"solvent": polarity})


READERS: dict[str, Callable[[Entry, Path], Pool]] = {
    "bulk_modulus": _bulk_modulus,
    "bulk_modulus_structures": _elastic,
    "band_gap": _band_gap,
    "dielectric": _dielectric,
    "perovskites_chgnet": _perovskites_chgnet,
    "perovskites_hybrid": _perovskites_hybrid,
    "agnp": _pvlab("pvlab_agnp", "AgNP_dataset.csv", "loss", "minimize"),
    "autoam": _pvlab("pvlab_autoam", "AutoAM_dataset.csv", "Score", "maximize"),
    "crossed_barrel": _pvlab("pvlab_crossed_barrel", "Crossed_barrel_dataset.csv", "toughness", "maximize"),
    "perovskite_degradation": _pvlab(
        "pvlab_perovskite_degradation", "Perovskite_dataset.csv", "Instability index", "minimize"
    ),
    **{f"oer_{plate}": _olympus(f"olympus_oer_plate_{plate}", "overpotential", "minimize") for plate in (3496, 3851, 3860)},
    "hplc": _olympus("olympus_hplc", "peak_area", "maximize"),
    "photo_pce10": _olympus("olympus_photo_pce10", "degradation", "minimize"),
    "photo_wf3": _olympus("olympus_photo_wf3", "degradation", "minimize"),
    "feconi_kerr": _feconi("Kerr_mrad"),
    "feconi_coercivity": _feconi("Coer_mT"),
    "direct_arylation": _edbo("edbo_direct_arylation", ("Base", "Ligand", "Solvent"), ("Concentration", "Temp_C")),
    "suzuki_screen": _edbo("edbo_suzuki", ("Electrophile", "Nucleophile", "Ligand", "Base", "Solvent")),
    "suzuki_conditions": _olympus("olympus_suzuki", "yield", "maximize"),
    **{f"buchwald_{letter}": _buchwald for letter in "abcde"},
    "aryl_amination": _edbo("edbo_aryl_amination", ("Aryl_halide", "Additive", "Base", "Ligand")),
    "alkoxylation": _olympus("olympus_alkox", "conversion", "maximize"),
    "suzuki_flow_i": _suzuki_flow,
    "suzuki_flow_ii": _suzuki_flow,
    "maldi_amine": _maldi,
    "maldi_bromide": _maldi,
    "merck_cn": _scope("bandit_merck_cn/merck-cn.csv", dict.fromkeys(("electrophile", "nucleophile", "catalyst", "base"), "category"), "relative_count"),
    "nib_meoh": _scope("bandit_nib_meoh/nib-meoh.csv", dict.fromkeys(("electrophile_id", "ligand_name"), "category"), "yield"),
    "toy_hill": _toy_hill,
    "toy_solvents": _toy_solvents,
}  # fmt: skip
