"""Each feature's share of a tree model's margin: LightGBM's `pred_contrib`, many times faster.

A tree answers all customers alike who stand on the same side of each of its splits. So the shares are worked
out once for every combination of sides that occurs, and handed to the customers who have it.

For one leaf with value v, let j run over the d features on its path, o_j be 1 where the customer passes all
of j's splits on the path and else 0, z_j the share of training rows that pass them. The Shapley value of j is

    v * (o_j - z_j) * integral over t from 0 to 1 of  product over i other than j of (z_i + (o_i - z_i) * t)

(Lundberg et al. 2020, "path-dependent"; the integral replaces the sum over subsets, since
|S|! (d-1-|S|)! / d! is the integral of t^|S| (1-t)^(d-1-|S|)). The integrand is a polynomial of degree d - 1,
for which a Gauss-Legendre rule of d / 2 points, rounded up, is exact.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, NamedTuple, Self

import lightgbm
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Bits = NDArray[np.uint16]
Places = NDArray[np.intp]

_SPLITS_MAX: Final = 16
"""Sides are packed into 16 bits; wider trees are left to LightGBM."""


@dataclass(frozen=True, slots=True)
class Split:
    """One inner node: who has `value <= threshold` goes left; a missing value goes left if `missing_left`."""

    feature: int
    threshold: np.float32
    missing_left: bool

    def goes_left(self, values: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Say for each value of the split's feature whether it goes left."""
        left = values <= self.threshold  # A missing value compares as false.
        return left | np.isnan(values) if self.missing_left else left


@dataclass(frozen=True, slots=True)
class Paths:
    """The paths to a tree's leaves, one row for each leaf and each feature on its path; leaves in turn.

    `masks`        the bits of that feature's splits on the path, and `wanted` their values on it
    `pass_shares`  share of training rows that stay on the path at these splits
    `values`       the leaf's value
    `leaf_starts`  first row of each leaf, and `leaves` each row's leaf
    `by_feature`   the rows ordered by feature, `feature_starts` where each of `features` begins in that order
    """

    masks: Bits
    wanted: Bits
    pass_shares: Floats
    values: Floats
    leaf_starts: Places
    leaves: Places
    by_feature: Places
    feature_starts: Places
    features: tuple[int, ...]

    def shares(self, sides: Bits) -> Floats:
        """Return the shares of combinations of sides: one row a feature of `features`."""
        passes = ((sides & self.masks[:, None]) == self.wanted[:, None]).astype(np.float64)
        base = self.pass_shares[:, None]
        moves = passes - base
        total = np.zeros_like(moves)
        for point, weight in zip(*_gauss_legendre(self._point_count), strict=True):
            factors = base + moves * point
            products = np.multiply.reduceat(factors, self.leaf_starts, axis=0) * weight
            total += products[self.leaves] / factors  # No factor is 0: no share is, and point < 1.
        total *= moves * self.values[:, None]
        return np.asarray(np.add.reduceat(total[self.by_feature], self.feature_starts, axis=0))

    @property
    def _point_count(self) -> int:
        longest = int(np.bincount(self.leaves).max())
        return (longest + 1) // 2


@cache
def _gauss_legendre(count: int) -> tuple[Floats, Floats]:
    points, weights = np.polynomial.legendre.leggauss(count)
    return (points + 1) / 2, weights / 2


@dataclass(frozen=True, slots=True)
class Tree:
    """One tree, its splits numbered as the bits of a combination of sides."""

    splits: tuple[Split, ...]
    paths: Paths

    def sides(self, columns: NDArray[np.float32]) -> Bits:
        """Return each customer's combination of sides; `columns` has one row a feature."""
        sides = np.zeros(columns.shape[1], dtype=np.uint16)
        for bit, split in enumerate(self.splits):
            sides |= split.goes_left(columns[split.feature]).astype(np.uint16) << np.uint16(bit)
        return sides


@dataclass(frozen=True, slots=True)
class TreeShares:
    """The trees of a model, ready to say what each feature adds to the margin."""

    trees: tuple[Tree, ...]

    @classmethod
    def of(cls, booster: lightgbm.Booster) -> Self | None:
        """Read a booster's trees; None where one has over 16 splits, or splits that only LightGBM knows."""
        roots = [tree["tree_structure"] for tree in booster.dump_model()["tree_info"]]
        if any(not _is_readable(list(_inner_nodes(root))) for root in roots):
            return None
        return cls(tuple(_read_tree(root) for root in roots if "split_index" in root))

    def of_rows(self, matrix: NDArray[np.float32]) -> Floats:
        """Return the shares of rows: same shape as `matrix`, equal to `pred_contrib` without its last column.

        The same bytes whatever the number of threads, rows or their order.
        """
        columns = np.ascontiguousarray(matrix.T)
        shares = np.zeros(columns.shape)
        for tree in self.trees:
            sides = tree.sides(columns)
            seen = np.flatnonzero(np.bincount(sides)).astype(np.uint16)
            place = np.zeros(2**_SPLITS_MAX, dtype=np.intp)
            place[seen] = np.arange(len(seen))
            places = place[sides]
            for feature, share in zip(tree.paths.features, tree.paths.shares(seen), strict=True):
                shares[feature] += share[places]
        return shares.T


def _inner_nodes(node: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    if "split_index" in node:
        yield node
        yield from _inner_nodes(node["left_child"])
        yield from _inner_nodes(node["right_child"])


def _is_readable(nodes: list[Mapping[str, Any]]) -> bool:
    return len(nodes) <= _SPLITS_MAX and all(
        node["decision_type"] == "<="
        and node["missing_type"] != "Zero"
        and min(_row_count(node["left_child"]), _row_count(node["right_child"])) > 0
        for node in nodes
    )


def _read_tree(root: Mapping[str, Any]) -> Tree:
    nodes = list(_inner_nodes(root))
    bits = {node["split_index"]: bit for bit, node in enumerate(nodes)}
    rows = [row for leaf, steps in enumerate(_steps(root, bits, ())) for row in _path_rows(leaf, *steps)]
    return Tree(tuple(_read_split(node) for node in nodes), _paths(rows))


def _read_split(node: Mapping[str, Any]) -> Split:
    # Where training saw no missing value, LightGBM takes a missing one for 0.
    missing_left = node["default_left"] if node["missing_type"] == "NaN" else node["threshold"] >= 0.0
    return Split(node["split_feature"], _rounded_down(node["threshold"]), missing_left)


def _rounded_down(threshold: float) -> np.float32:
    """Return the largest 32-bit float up to a threshold: 32-bit values stand on the same side of both."""
    with np.errstate(over="ignore"):
        nearest = np.float32(threshold)
    return nearest if float(nearest) <= threshold else np.nextafter(nearest, np.float32("-inf"))


class _Step(NamedTuple):
    """A step down a path: a split of a feature, its side, and the share of rows that go there."""

    feature: int
    bit: int
    goes_left: bool
    share: float


class _PathRow(NamedTuple):
    """One feature on the path to one leaf."""

    leaf: int
    feature: int
    mask: int
    wanted: int
    pass_share: float
    value: float


def _steps(
    node: Mapping[str, Any], bits: Mapping[int, int], taken: tuple[_Step, ...]
) -> Iterator[tuple[tuple[_Step, ...], float]]:
    """Yield the steps to each leaf, and its value."""
    if "split_index" not in node:
        yield taken, node["leaf_value"]
        return
    for side in ("left_child", "right_child"):
        child = node[side]
        share = _row_count(child) / node["internal_count"]
        step = _Step(node["split_feature"], bits[node["split_index"]], side == "left_child", share)
        yield from _steps(child, bits, (*taken, step))


def _row_count(node: Mapping[str, Any]) -> int:
    return int(node["internal_count"] if "split_index" in node else node["leaf_count"])


def _path_rows(leaf: int, steps: tuple[_Step, ...], value: float) -> Iterator[_PathRow]:
    for feature in dict.fromkeys(step.feature for step in steps):
        own = [step for step in steps if step.feature == feature]
        yield _PathRow(
            leaf,
            feature,
            mask=sum(1 << step.bit for step in own),
            wanted=sum(step.goes_left << step.bit for step in own),
            pass_share=math.prod(step.share for step in own),
            value=value,
        )


def _paths(rows: list[_PathRow]) -> Paths:
    leaves, features = np.array([row.leaf for row in rows]), np.array([row.feature for row in rows])
    by_feature = np.argsort(features, kind="stable")
    names, feature_starts = np.unique(features[by_feature], return_index=True)
    return Paths(
        masks=np.array([row.mask for row in rows], dtype=np.uint16),
        wanted=np.array([row.wanted for row in rows], dtype=np.uint16),
        pass_shares=np.array([row.pass_share for row in rows]),
        values=np.array([row.value for row in rows]),
        leaf_starts=np.unique(leaves, return_index=True)[1],
        leaves=leaves,
        by_feature=by_feature,
        feature_starts=feature_starts,
        features=tuple(int(name) for name in names),
    )
