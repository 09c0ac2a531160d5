"""Substances of a search space as numbers: names, descriptors and fingerprints as alternatives, recorded and searched."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest

from discover import Categorical, Continuous, SearchSpace, Substance
from discover.candidates.sources.space import SpaceSource
from discover.candidates.space.declaring import space_of
from discover.candidates.space.parameters.molecules import encoded
from discover.errors import InvalidInput, Unsupported
from discover.features.molecule import BITS, MoleculeDescriptors
from discover.policy import in_space
from discover.policy.bayesian import Bayesian
from tests.policy.test_in_space import held, view_of

BOTH = ("molecule", "fingerprint")
OTHERS = {("solvent", "categories"), ("solvent", "fingerprint")}
ALCOHOLS = {f"C{n}": "C" * n + "O" for n in range(1, 31)}


def space(from_smiles=BOTH, substances=ALCOHOLS, **more):
    return SearchSpace(
        [
            Substance("solvent", substances, from_smiles=from_smiles, **more),
            Continuous("temperature", 20, 120, step=0.1),
            Categorical("base", ["none", "KOH"]),
        ]
    )


def test_names_descriptors_and_fingerprints_are_encodings_of_one_name():
    blocks = space().encoding.blocks
    told = [(block.name, block.kind) for block in blocks]
    assert told[:3] == [("solvent", "categories"), ("solvent", "descriptors"), ("solvent", "fingerprint")]
    assert told[3:] == [("temperature", "numbers"), ("base", "categories")]
    assert blocks[-1].stop == len(space().encoding.names) == len(set(space().encoding.names))
    assert [kind for name, kind in told if name == "solvent"] == ["categories", "descriptors", "fingerprint"]
    only = space(["fingerprint"]).encoding.blocks
    assert [(block.name, block.kind) for block in only][:2] == told[::2][:2]


def test_numbers_are_those_of_rdkit_whatever_the_order_of_names():
    from rdkit import Chem, DataStructs
    from rdkit.Chem.Descriptors import MolLogP
    from rdkit.Chem.rdFingerprintGenerator import GetMorganGenerator

    names, generator = list(ALCOHOLS), GetMorganGenerator(radius=2, fpSize=BITS)
    one = space()
    codes = np.array([one.codes_of({"solvent": name, "temperature": 20.0, "base": "none"}) for name in names])
    X = one.encode(one.numbers(codes))
    molecules = [Chem.MolFromSmiles(ALCOHOLS[name]) for name in names]
    printed = next(block for block in one.encoding.blocks if block.kind == "fingerprint")
    bits = X[:, printed.start : printed.stop]
    theirs = [generator.GetCountFingerprint(molecule) for molecule in molecules]
    for i, j in [(0, 1), (1, 2), (3, 17), (20, 29)]:
        ours = np.minimum(bits[i], bits[j]).sum() / np.maximum(bits[i], bits[j]).sum()
        assert ours == pytest.approx(DataStructs.TanimotoSimilarity(theirs[i], theirs[j]))
    described = next(block for block in one.encoding.blocks if block.kind == "descriptors")
    values = X[:, described.start : described.stop]
    logp = np.array([MolLogP(molecule) for molecule in molecules])
    assert np.abs(np.corrcoef(values.T, logp)[-1, :-1]).max() > 0.99
    assert values.std(axis=0) == pytest.approx(1.0)


def test_what_has_no_value_stands_at_the_centre():
    one = SearchSpace(
        [Categorical("acid", ["none", "some"]), Substance("which", {"a": "CC(=O)O", "b": "OC=O"}, when="acid == 'some'",
                                                          from_smiles=BOTH)]
    )  # fmt: skip
    X = one.encode(one.numbers(one.region().listing))
    assert np.isfinite(X).all()
    idle = one.region().listing[:, 1] < 0
    assert idle.sum() == 1
    width = len(one.encoding.names) - 1  # without the feature that says whether there is a value
    assert X[idle][0, 2:width] == pytest.approx(one.encoding.centre[2:width])


def test_the_declaration_says_what_is_made_from_smiles():
    one = space()
    body = json.loads(json.dumps(one.to_dict(), sort_keys=True))
    assert body["parameters"][0]["from_smiles"] == ["molecule", "fingerprint"]
    again = space_of(body)
    assert again == one
    assert again.hash == one.hash != space([]).hash
    assert again.encoding.names == one.encoding.names
    assert "from_smiles" not in space([]).to_dict()["parameters"][0]
    assert SpaceSource([dict(parameter) for parameter in body["parameters"]]).space == one


def test_numbers_are_worked_out_once(monkeypatch):
    encoded.__globals__["_encoded"].cache_clear()
    made, of = [], MoleculeDescriptors.of
    monkeypatch.setattr(MoleculeDescriptors, "of", lambda *given: made.append(given) or of(*given))
    for _ in range(3):
        assert space().encoding
    assert len(made) == 1
    encoded.__globals__["_encoded"].cache_clear()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"from_smiles": ["fingerprnt"]}, "fingerprint"),
        ({"from_smiles": ["composition"]}, "makes no features of substances"),
        ({"from_smiles": ["molecule", "molecule"]}, "second set of features of the kind 'descriptors'"),
        ({"from_smiles": "molecule"}, "needs a list of kinds"),
        ({"from_smiles": ["molecule"], "descriptors": {n: {"d": k} for k, n in enumerate(ALCOHOLS)}}, "second set"),
        ({"substances": {"good": "CCO", "bad": "C1CC"}}, "RDKit cannot read this SMILES"),
    ],
)
def test_what_cannot_be_is_refused_when_it_is_declared(options, said):
    with pytest.raises(InvalidInput) as error:
        space(**options)
    assert said in str(error.value)
    if "substances" in options:
        assert [problem.row for problem in error.value.problems] == ["bad"]


def test_without_rdkit_only_who_asks_for_numbers_is_refused(monkeypatch):
    for name in [name for name in sys.modules if name.partition(".")[0] == "rdkit"]:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setitem(sys.modules, "rdkit", None)
    new = {"a": "CCCCCCCCCCCCCCCCF", "b": "CCCCCCCCCCCCCCCCCl"}
    plain, asking = space([], new), space(BOTH, new)
    codes = plain.region().draw(3, np.random.default_rng(0))
    assert plain.encode(plain.numbers(codes)).shape == (3, 5)
    with pytest.raises(Unsupported, match=r"discover-loop\[chemistry\]"):
        asking.encode(asking.numbers(codes))


def observed(one, n=30):
    """A yield that grows with the length of the chain, and with temperature; the even lengths alone were tried."""
    codes = one.region().draw(400, np.random.default_rng(0))
    length = np.array([len(ALCOHOLS[one.values(row)["solvent"]]) - 1 for row in codes])
    codes, length = codes[length % 2 == 0][:n], length[length % 2 == 0][:n]
    return view_of(one, codes, 3.0 * length + 0.02 * one.numbers(codes)[:, 1])


def test_the_evidence_decides_for_what_tells_of_substances_that_were_not_tried():
    odd = [name for name in ALCOHOLS if int(name[1:]) % 2]
    policy, errors = Bayesian(start=5, model="evidence"), {}
    for kinds in ((), BOTH):
        one = space(kinds)
        view = observed(one)
        codes = np.array([one.codes_of({"solvent": name, "temperature": 70.0, "base": "none"}) for name in odd])
        mean, _ = policy.predict(view, one.encode(one.numbers(codes)))["y"]
        errors[kinds] = np.abs(mean - [3.0 * int(name[1:]) + 1.4 for name in odd]).mean()
    assert errors[BOTH] < 0.25 * errors[()]


def test_a_large_space_is_searched_by_what_molecules_tell_and_each_proposal_says_so():
    one = space()
    assert one.region().listing is None
    view = observed(one)
    batch = in_space.propose(Bayesian(start=5, model="evidence"), view, 3, np.random.default_rng(0))
    points = held(view, batch, 3)
    assert any(int(point["solvent"][1:]) > 28 for point in points)
    for proposal in batch:
        weights = proposal.details["models"]["y"]["all_weights"]
        assert {"only-categories", "only-descriptors", "only-fingerprint"} <= weights.keys()
        assert weights["only-descriptors"] > weights["only-categories"]
    again = in_space.propose(Bayesian(start=5, model="evidence"), view, 3, np.random.default_rng(0))
    assert [p.candidate_id for p in again] == [p.candidate_id for p in batch]


def test_a_single_model_takes_the_descriptors():
    one = space()
    batch = in_space.propose(Bayesian(start=5, model="single"), observed(one), 2, np.random.default_rng(0))
    told = set(batch.learned["targets"]["y"]["lengths"])
    used = sum(b.stop - b.start for b in one.encoding.blocks if (b.name, b.kind) not in OTHERS)
    assert len(told) > 1
    assert len(batch.learned["targets"]["y"]["lengths"]) == used


def test_by_default_the_evidence_decides_between_the_encodings_alone_and_each_proposal_says_so():
    one = space()
    batch = in_space.propose(Bayesian(start=5), observed(one), 2, np.random.default_rng(0))
    for proposal in batch:
        told = proposal.details["models"]["y"]
        assert set(told["all_weights"]) == {"each", "each-categories", "each-descriptors", "each-fingerprint"}
        density = told["log_density_per_observation"]
        assert density["each-descriptors"] > density["each-categories"]
    assert (
        "all_weights"
        not in (
            in_space.propose(Bayesian(start=5), observed(space(())), 2, np.random.default_rng(0))
            .proposals[0]
            .details["models"]["y"]
        )
    )
