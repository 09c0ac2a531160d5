"""Constraints as a chemist writes them, read by a small parser: nothing in them is ever run.

    temperature <= 78 if solvent.ethanol > 0.5            a condition, and when it applies
    not (base == 'KOH' and ligand == 'PCy3')              a forbidden combination
    acid + base <= 3.5        base == 2 * acid            linear (in)equalities
    ligand in ['PPh3', 'PCy3'] or temperature < 60
    base only if acid != 'none'                           a parameter that has a value only under a condition
    at most 2 of additive_a, additive_b, additive_c       n of k: how many are not zero (at least, exactly)
    order.acid < order.base                               the place in an order

A name that is no Python word stands in backticks: `solvent.2-MeTHF`.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from keyword import iskeyword
from typing import Any
from unicodedata import normalize

from discover.candidates.space.constraints.conditions import (
    Among,
    Any_,
    Condition,
    Constant,
    Count,
    Linear,
    Not,
    Sign,
    all_of,
    looseness,
    unless,
)
from discover.candidates.space.parameters.levels import DECADES, exact
from discover.candidates.space.parameters.parameter import Slot
from discover.errors import Problem, nearest

LONGEST = 2_000
DEEPEST = 200
"""Levels of a text's tree: terms of a sum, and conditions within conditions."""
LARGEST = 10**DECADES
_ONLY_IF = re.compile(r"^\s*(?P<names>[^()=<>]+?)\s+only\s+if\s+(?P<condition>.+)$", re.DOTALL)
_COUNT = re.compile(r"^\s*(?P<how>at most|at least|exactly)\s+(?P<k>\d+)\s+of\s+(?P<names>.+)$", re.DOTALL)
_QUOTED = re.compile(r"`([^`]+)`")
_SIGNS: Mapping[type[ast.cmpop], Sign] = {
    ast.LtE: "<=", ast.Lt: "<", ast.Eq: "==", ast.NotEq: "!=",
}  # fmt: skip
_TURNED: Mapping[type[ast.cmpop], Sign] = {ast.GtE: "<=", ast.Gt: "<"}


class Misread(ValueError):
    """A text that is no constraint: what is wrong, and the way out."""

    def __init__(self, message: str, way_out: str = ""):
        self.way_out = way_out
        super().__init__(message)


@dataclass(frozen=True)
class Sum:
    """Weights by slot, and a constant."""

    weights: Mapping[int, Fraction] = field(default_factory=dict)
    constant: Fraction = Fraction(0)

    def plus(self, other: Sum, factor: Fraction = Fraction(1)) -> Sum:
        """This one and a multiple of another."""
        weights = dict(self.weights)
        for slot, weight in other.weights.items():
            weights[slot] = weights.get(slot, Fraction(0)) + factor * weight
        return Sum({k: w for k, w in weights.items() if w}, self.constant + factor * other.constant)

    def times(self, factor: Fraction) -> Sum:
        """A multiple of this one."""
        return Sum().plus(self, factor)


@dataclass(frozen=True)
class Parsed:
    """A text and what it means. active: the parameters that have a value only if `condition` holds; else it must hold."""

    text: str
    condition: Condition
    active: tuple[str, ...] = ()


class Reader:
    """Reads texts over the slots of a space. parts: the slots of every parameter, by its name."""

    def __init__(self, slots: Sequence[Slot], parts: Mapping[str, Sequence[int]]):
        self.slots = slots
        self.parts = parts
        self._places = {slot.name: place for place, slot in enumerate(slots)}
        for name, place in list(self._places.items()):  # Python reads µ as μ
            self._places.setdefault(normalize("NFKC", name), place)
        self._quoted: list[str] = []

    def read(self, text: str) -> Parsed:
        """A constraint. Misread says what is wrong with it."""
        text = self._checked(text)
        if match := _ONLY_IF.match(text):
            names = tuple(name.strip().strip("`") for name in match["names"].split(","))
            for name in names:
                if name not in self.parts:
                    raise Misread(f"there is no parameter {name!r}", nearest(name, self.parts))
            return Parsed(text, self.condition(match["condition"]), names)
        if match := _COUNT.match(text):
            return Parsed(text, self._counted(match["how"], int(match["k"]), match["names"]))
        return Parsed(text, self.condition(text))

    def condition(self, text: str) -> Condition:
        """A condition."""
        return self._truth(self._tree(self._checked(text)))

    def total(self, text: str) -> Sum:
        """A sum of numbers."""
        return self._sum(self._tree(self._checked(text)))

    def _checked(self, text: Any) -> str:
        if not isinstance(text, str) or not text.strip():
            raise Misread("must be a text", "write 'temperature <= 78 if solvent.ethanol > 0.5'")
        if len(text) > LONGEST:
            raise Misread(f"is longer than {LONGEST:,} characters")
        return text

    def _counted(self, how: str, k: int, names: str) -> Condition:
        slots: list[int] = []
        for name in (part.strip().strip("`") for part in re.split(r",|\band\b", names)):
            if not name:
                continue
            if name in self.parts and len(self.parts[name]) > 1:
                slots += self.parts[name]
            else:
                slots.append(self._slot(name))
        for slot in slots:
            if self.slots[slot].kind == "label":
                raise Misread(f"{self.slots[slot].name!r} is no number that could be zero", "count numbers and flags")
        least, most = {"at most": (0, k), "at least": (k, len(slots)), "exactly": (k, k)}[how]
        return Count(tuple(dict.fromkeys(slots)), least, most)

    def _tree(self, text: str) -> ast.expr:
        self._quoted = []

        def stand_in(match: re.Match[str]) -> str:
            self._quoted.append(match[1].strip())
            return f"quoted__{len(self._quoted) - 1}"

        plain = " ".join(_QUOTED.sub(stand_in, text).split())
        if re.search(r"\sif\s", plain) and not re.search(r"\selse\s", plain):
            plain += " else True"
        try:
            tree = ast.parse(plain, mode="eval").body
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            raise Misread("cannot be read as a constraint", self._hint(plain)) from None
        if _depth(tree) > DEEPEST:
            raise Misread(f"has more than {DEEPEST} terms or levels", "write several constraints")
        return tree

    def _hint(self, text: str) -> str:
        if re.search(r"(?<![<>=!])=(?![=>])", text):
            return "write == for 'equals'"
        if re.search("[≤≥≠]", text):
            return "write <=, >= or !="
        odd = [slot.name for slot in self.slots if not all(_plain(part) for part in slot.name.split("."))]
        named = next((name for name in odd if name in text), None)
        if named is not None:
            return f"put the name into backticks: `{named}`"
        return "write it like 'a + b <= 3', \"not (base == 'KOH' and acid == 'HCl')\" or 'a <= 3 if b > 2'"

    def _truth(self, node: ast.expr) -> Condition:
        """A node as a condition."""
        if isinstance(node, ast.BoolOp):
            parts = tuple(self._truth(value) for value in node.values)
            return all_of(parts) if isinstance(node.op, ast.And) else Any_(parts)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            return Not(self._truth(node.operand))
        if isinstance(node, ast.IfExp):
            test, then = self._truth(node.test), self._truth(node.body)
            other = self._truth(node.orelse)
            return all_of([unless(test, then), unless(Not(test), other)])
        if isinstance(node, ast.Compare):
            ends = [node.left, *node.comparators]
            return all_of([self._compared(*pair) for pair in zip(ends, node.ops, ends[1:], strict=False)])
        if (value := self._flag(node)) is not None:
            return Constant(value)
        if isinstance(node, ast.Tuple):
            raise Misread(f"{ast.unparse(node)!r} is no condition", "write a decimal point; or several constraints")
        if isinstance(node, (ast.Name, ast.Attribute)):
            slot = self._slot(self._name(node))
            if self.slots[slot].kind != "flag":
                raise Misread(f"{self.slots[slot].name!r} is neither true nor false", "compare it with something")
            return Linear(((slot, Fraction(1)),), "==", Fraction(1))
        raise Misread(f"{ast.unparse(node)!r} is no condition", "compare two things, and join with and, or, not")

    def _compared(self, left: ast.expr, sign: ast.cmpop, right: ast.expr) -> Condition:
        if isinstance(sign, (ast.In, ast.NotIn)):
            found = self._among(left, right)
            return found if isinstance(sign, ast.In) else Not(found)
        if (label := self._label_side(left)) is not None:
            return self._labelled(label, sign, right)
        if (label := self._label_side(right)) is not None:
            return self._labelled(label, sign, left)
        one, other = self._sum(left), self._sum(right)
        if type(sign) in _TURNED:
            return self._linear(other, one, _TURNED[type(sign)])
        if type(sign) not in _SIGNS:
            raise Misread("is no comparison of numbers", "use <, <=, ==, !=, >=, > or in")
        return self._linear(one, other, _SIGNS[type(sign)])

    def _linear(self, one: Sum, other: Sum, sign: Sign) -> Condition:
        rest = one.plus(other, Fraction(-1))
        terms = tuple(sorted(rest.weights.items()))
        if any(not 1 / LARGEST <= abs(number) <= LARGEST for number in (*rest.weights.values(), rest.constant or 1)):
            raise Misread("has numbers that are too large or too small to compute with")
        if not terms:
            return Constant(Linear((), sign, -rest.constant).exactly(()))
        return Linear(terms, sign, -rest.constant, looseness(terms, self.slots))

    def _label_side(self, node: ast.expr) -> int | None:
        """The slot of a label, where a node names one."""
        if isinstance(node, (ast.Name, ast.Attribute)):
            slot = self._places.get(self._name(node))
            return slot if slot is not None and self.slots[slot].kind == "label" else None
        return None

    def _labelled(self, slot: int, sign: ast.cmpop, other: ast.expr) -> Condition:
        if not isinstance(sign, (ast.Eq, ast.NotEq)):
            raise Misread(f"{self.slots[slot].name!r} has names, which have no order", "use ==, != or in")
        found = Among(slot, frozenset([self._code(slot, other)]))
        return found if isinstance(sign, ast.Eq) else Not(found)

    def _among(self, left: ast.expr, right: ast.expr) -> Condition:
        if not isinstance(right, (ast.List, ast.Tuple, ast.Set)):
            raise Misread("'in' needs a list", "write ligand in ['PPh3', 'PCy3']")
        slot = self._label_side(left)
        if slot is not None:
            return Among(slot, frozenset(self._code(slot, item) for item in right.elts))
        one = self._sum(left)
        return Any_(tuple(self._linear(one, self._sum(item), "==") for item in right.elts) or (Constant(False),))

    def _code(self, slot: int, node: ast.expr) -> int:
        labels = self.slots[slot].labels
        if not isinstance(node, ast.Constant) or isinstance(node.value, bool):
            text = ast.unparse(node)
            raise Misread(f"{text} is no value of {self.slots[slot].name!r}", f"put it into quotes: '{text}'")
        text = str(node.value)
        if text not in labels:
            raise Misread(f"{text!r} is no value of {self.slots[slot].name!r}", nearest(text, labels)[:300])
        return labels.index(text)

    def _sum(self, node: ast.expr) -> Sum:
        """A node as a sum of numbers."""
        if (value := self._flag(node)) is not None:
            return Sum(constant=Fraction(int(value)))
        if isinstance(node, ast.Constant):
            return Sum(constant=self._constant(node.value))
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.USub, ast.UAdd)):
            return self._sum(node.operand).times(Fraction(-1 if isinstance(node.op, ast.USub) else 1))
        if isinstance(node, ast.BinOp):
            return self._combined(node)
        if isinstance(node, (ast.Name, ast.Attribute)):
            slot = self._slot(self._name(node))
            if self.slots[slot].kind == "label":
                raise Misread(
                    f"{self.slots[slot].name!r} has names and is no number", "compare it with a name in quotes"
                )
            return Sum({slot: Fraction(1)})
        raise Misread(f"{ast.unparse(node)!r} is no number", "sums of parameters and numbers, and multiples of them")

    def _constant(self, value: Any) -> Fraction:
        if isinstance(value, str) or not isinstance(value, (int, float)):
            raise Misread(f"{value!r} is no number", "only parameters with names are compared with a text")
        try:
            return exact(value)
        except ValueError:
            raise Misread(f"{value!r} is no number between 1e-{DECADES} and 1e{DECADES}") from None

    def _combined(self, node: ast.BinOp) -> Sum:
        left, right = self._sum(node.left), self._sum(node.right)
        if isinstance(node.op, ast.Add):
            return left.plus(right)
        if isinstance(node.op, ast.Sub):
            return left.plus(right, Fraction(-1))
        if isinstance(node.op, ast.Mult) and not (left.weights and right.weights):
            return left.times(right.constant) if left.weights else right.times(left.constant)
        if isinstance(node.op, ast.Div) and not right.weights and right.constant:
            return left.times(1 / right.constant)
        text = ast.unparse(node)
        raise Misread(f"{text!r} is not linear", "only sums, and multiples by a number; or make it a parameter")

    def _name(self, node: ast.expr) -> str:
        """The dotted name of a node."""
        if isinstance(node, ast.Attribute):
            return f"{self._name(node.value)}.{node.attr}"
        if isinstance(node, ast.Name):
            if node.id.startswith("quoted__") and node.id[8:].isdigit() and int(node.id[8:]) < len(self._quoted):
                return self._quoted[int(node.id[8:])]
            return node.id
        raise Misread(f"{ast.unparse(node)!r} is no name")

    def _flag(self, node: ast.expr) -> bool | None:
        """True or false, as Python and YAML write them; None for anything else."""
        if isinstance(node, ast.Name) and node.id in ("true", "false") and node.id not in self._places:
            return node.id == "true"
        return node.value if isinstance(node, ast.Constant) and isinstance(node.value, bool) else None

    def _slot(self, name: str) -> int:
        if name in self._places:
            return self._places[name]
        if name in self.parts:
            hint = f"name one of its parts: {', '.join(self.slots[place].name for place in self.parts[name][:8])}"
            raise Misread(f"{name!r} has several parts", hint)
        raise Misread(f"there is no parameter {name!r}", nearest(name, self._places)[:300])


def _plain(name: str) -> bool:
    """Whether a name can stand in a text without backticks."""
    return name.isidentifier() and not iskeyword(name)


def _depth(tree: ast.AST) -> int:
    """How deep a tree is."""
    depth, level = 0, [tree]
    while level:
        depth, level = depth + 1, [child for node in level for child in ast.iter_child_nodes(node)]
    return depth


def problem_of(error: Misread, column: str, text: Any) -> Problem:
    """A text that cannot be read, for a report."""
    return Problem(str(error), column=column, value=text, way_out=error.way_out)
