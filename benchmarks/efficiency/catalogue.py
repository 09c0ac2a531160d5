"""The pools by name: which family each belongs to, and which are siblings. No data and no result is needed to read it.

Siblings are tables of one system, instrument or quantity. They fall to the same side of the split, and share one vote in a
mean rank: tuning on one plate and testing on its neighbour would be no test.
"""

from __future__ import annotations

from dataclasses import dataclass

FAMILIES = ("materials", "formulations", "reactions")


@dataclass(frozen=True)
class Entry:
    """One pool: its family and group of siblings. seen: the library's earlier defaults were chosen on such tables."""

    name: str
    family: str
    group: str
    seen: bool = False


POOLS = (
    # Materials by composition or structure.
    Entry("bulk_modulus", "materials", "bulk-modulus", seen=True),
    Entry("bulk_modulus_structures", "materials", "bulk-modulus", seen=True),
    Entry("band_gap", "materials", "band-gap", seen=True),
    Entry("dielectric", "materials", "dielectric"),
    Entry("perovskites_chgnet", "materials", "perovskites-chgnet"),
    Entry("perovskites_hybrid", "materials", "perovskites-hybrid"),
    # Measured formulations and devices: a few numbers a row.
    Entry("agnp", "formulations", "agnp"),
    Entry("autoam", "formulations", "autoam"),
    Entry("crossed_barrel", "formulations", "crossed-barrel"),
    Entry("perovskite_degradation", "formulations", "perovskite-degradation"),
    Entry("oer_3496", "formulations", "oer"),
    Entry("oer_3851", "formulations", "oer"),
    Entry("oer_3860", "formulations", "oer"),
    Entry("hplc", "formulations", "hplc"),
    Entry("photo_pce10", "formulations", "photo-degradation"),
    Entry("photo_wf3", "formulations", "photo-degradation"),
    Entry("feconi_kerr", "formulations", "fe-co-ni"),
    Entry("feconi_coercivity", "formulations", "fe-co-ni"),
    # Reactions.
    Entry("direct_arylation", "reactions", "direct-arylation"),
    Entry("suzuki_screen", "reactions", "suzuki-screen"),
    Entry("suzuki_conditions", "reactions", "suzuki-conditions"),
    Entry("buchwald_a", "reactions", "buchwald"),
    Entry("buchwald_b", "reactions", "buchwald"),
    Entry("buchwald_c", "reactions", "buchwald"),
    Entry("buchwald_d", "reactions", "buchwald"),
    Entry("buchwald_e", "reactions", "buchwald"),
)
REACTIONS = (
    # Further tables of reactions, which only the study of reactions plays; the last four are screens of scope.
    Entry("aryl_amination", "reactions", "buchwald"),
    Entry("alkoxylation", "reactions", "alkoxylation"),
    Entry("suzuki_flow_i", "reactions", "suzuki-flow"),
    Entry("suzuki_flow_ii", "reactions", "suzuki-flow"),
    Entry("maldi_amine", "reactions", "maldi"),
    Entry("maldi_bromide", "reactions", "maldi"),
    Entry("merck_cn", "reactions", "merck-cn"),
    Entry("nib_meoh", "reactions", "nib-meoh"),
)
TOYS = (Entry("toy_hill", "toy", "toy-hill"), Entry("toy_solvents", "toy", "toy-solvents"))
"""Two invented tables that need no data, for the smoke test; the set `toy`."""


def entry(name: str) -> Entry:
    """The pool of that name. KeyError names those there are."""
    known = {one.name: one for one in (*POOLS, *REACTIONS, *TOYS)}
    if name not in known:
        raise KeyError(f"no pool is called {name!r}; there are {', '.join(known)}")
    return known[name]
