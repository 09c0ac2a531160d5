"""Molecules as numbers, held against RDKit itself."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from discover import CandidatePool
from discover.descriptors import CORRELATED
from discover.errors import InvalidInput
from discover.features.build import Features, feature_table
from discover.features.molecule import BITS, Fingerprint, MoleculeDescriptors, canonical_smiles, encoded

LIGANDS = {"PPh3": "c1ccc(cc1)P(c1ccccc1)c1ccccc1", "PCy3": "C1CCC(CC1)P(C1CCCCC1)C1CCCCC1", "none": ""}


def pool(**substances: object) -> CandidatePool:
    frame = pd.DataFrame({"id": list("abcd"), "ligand": ["PPh3", "PCy3", "none", "PPh3"], "x": [1.0, 2.0, 3.0, 4.0]})
    frame["smiles"] = frame["ligand"].map(LIGANDS)
    return CandidatePool.from_frame(frame, id="id", features=["x"], categorical=["ligand"], **substances)  # type: ignore[arg-type]


def test_fingerprints_are_morgan_counts_and_similarity_is_tanimoto() -> None:
    from rdkit import Chem, DataStructs
    from rdkit.Chem.rdFingerprintGenerator import GetMorganGenerator

    smiles = ["CCO", "CCCO", "c1ccccc1O", "CC(=O)Oc1ccccc1C(=O)O"]
    found = Fingerprint("s").transform(pd.DataFrame({"s": smiles}))
    assert found.shape == (4, BITS)
    generator = GetMorganGenerator(radius=2, fpSize=BITS)
    theirs = [generator.GetCountFingerprint(Chem.MolFromSmiles(s)) for s in smiles]
    for i, a in enumerate(found):
        for j, b in enumerate(found):
            ours = np.minimum(a, b).sum() / np.maximum(a, b).sum()
            assert ours == pytest.approx(DataStructs.TanimotoSimilarity(theirs[i], theirs[j]))


def test_descriptors_are_those_of_rdkit() -> None:
    from rdkit import Chem
    from rdkit.Chem import Descriptors

    featurizer = MoleculeDescriptors("s")
    row = featurizer.transform(pd.DataFrame({"s": ["CC(=O)Oc1ccccc1C(=O)O"]}))[0]
    molecule = Chem.MolFromSmiles("CC(=O)Oc1ccccc1C(=O)O")
    for name in ("TPSA", "MolWt", "MolLogP", "NumHDonors"):
        assert row[featurizer.names.index(f"s:{name}")] == pytest.approx(getattr(Descriptors, name)(molecule))
    assert np.isfinite(row).all()


@pytest.mark.parametrize("kind", [Fingerprint, MoleculeDescriptors])
def test_what_is_no_molecule_is_named_with_its_row(kind: type) -> None:
    rows = pd.DataFrame({"s": ["CCO", "C1CC", "xyz"]}, index=[7, 8, 9])
    with pytest.raises(InvalidInput) as error:
        kind("s").transform(rows)
    assert [(p.row, p.column, p.value) for p in error.value.problems] == [(8, "s", "C1CC"), (9, "s", "xyz")]


def test_an_empty_cell_is_no_molecule() -> None:
    rows = pd.DataFrame({"s": ["", None, "CCO"]})
    assert not Fingerprint("s").transform(rows)[:2].any()
    assert not MoleculeDescriptors("s").transform(rows)[:2].any()


def test_substances_have_three_encodings_of_one_name() -> None:
    features = Features.of(pool(substances={"ligand": "smiles"}))
    assert [(b.name, b.kind) for b in features.blocks] == [
        ("numbers", "numbers"), ("ligand", "descriptors"), ("ligand", "categories"), ("ligand", "fingerprint"),
    ]  # fmt: skip
    named = Features.of(pool(substances={"ligand": LIGANDS}))
    assert (
        feature_table(pool(substances={"ligand": LIGANDS})).hash
        == feature_table(pool(substances={"ligand": "smiles"})).hash
    )
    assert named.names == features.names


def test_descriptors_of_substances_are_standardised_and_no_two_say_the_same() -> None:
    smiles = ["CCO", "CCCO", "CCCCO", "c1ccccc1O", "CC(=O)O", "CCN", "CCCl"]
    _, table = encoded("s", {s: s for s in smiles})
    values = np.array(table.values)
    assert np.allclose(values.mean(axis=0), 0)
    assert np.allclose(values.std(axis=0), 1)
    alike = np.abs(np.corrcoef(values.T)) - np.eye(values.shape[1])
    assert alike.max() <= CORRELATED + 1e-9


def test_the_pool_names_categories_without_a_molecule() -> None:
    with pytest.raises(InvalidInput, match=r"the category has no SMILES.*\n?.*'none'|none"):
        pool(substances={"ligand": {"PPh3": "CCO", "PCy3": "CCC"}})


def test_a_name_with_two_molecules_is_refused_with_both_rows() -> None:
    frame = pd.DataFrame({"id": list("abcdef"), "ligand": [*"LLMMLN"], "smiles": ["CCO", "CCO ", "", None, "CCC", "C"]})
    frame.index = pd.Index(range(10, 16))
    with pytest.raises(InvalidInput) as caught:
        CandidatePool.from_frame(frame, id="id", categorical=["ligand"], substances={"ligand": "smiles"})
    (problem,) = caught.value.problems
    assert (problem.row, problem.column, problem.value) == (14, "smiles", "CCC")
    assert problem.message == "'L' of the column 'ligand' is 'CCO' in row 10"
    assert "another molecule another name" in problem.way_out
    fine = CandidatePool.from_frame(frame.drop(14), id="id", categorical=["ligand"], substances={"ligand": "smiles"})
    assert Features.of(fine).blocks[0].kind == "descriptors"


def test_a_spec_with_substances_round_trips_and_one_without_is_as_it_was() -> None:
    spec = pool(substances={"ligand": "smiles"}).spec
    assert type(spec).from_dict(spec.to_dict()) == spec
    assert "substances" not in pool().spec.to_dict()


def test_a_molecule_has_one_smiles() -> None:
    assert canonical_smiles("OCC") == canonical_smiles("C(O)C") == "CCO"
