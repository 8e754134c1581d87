"""Are the reasons true? What the answer does without them, and whether another fit would give the same.

Deletion: the features behind a customer's reasons get the values of other customers, drawn at random, and
the answer moves. It is compared with as many features of reasons drawn at random, which get the values of
the same donors. Reasons that mean nothing move the answer no more than chance does, a ratio of 1, and
half of the time in the direction that they promised. Insertion is the reverse: a donor gets these
features of the customer, and the answer moves from the donor's towards the customer's.

Neutral is the average over donors (the interventional value function: Janzing, Minorics, Bloebaum 2020;
Covert, Lundberg, Lee 2021). A tree model has no natural zero, and the mean of a feature may be a value
that nobody has; the average answer over real values is what the model says when it does not know the
feature. A donor gives all features of a set at once, and random features come by whole reasons too, so
that what belongs together stays together on both sides. A donor's values may still not suit the
customer's others: the price of not modelling how features depend on each other, paid by named and random
features alike.

Answers are measured in the logit, where contributions add up. What raises and what lowers the answer is
deleted apart, since together they would cancel out.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict
from scipy.stats import rankdata

from features.families import FEATURES
from models.contract import ChurnModel
from models.estimate import Estimate
from models.explanations import ChurnEffects, churn_effects
from models.horizon import Floats, logit

Mask = NDArray[np.bool_]

CUSTOMER_COUNT: Final = 2000
DONOR_COUNT: Final = 5
DRAW_COUNT: Final = 3
BOOTSTRAP_COUNT: Final = 1000
_ROUNDING: Final = 1e-9


class Faithfulness(BaseModel):
    """How much more than chance the named features matter; moves are absolute, in the logit.

    Intervals are those of a bootstrap over customers.

    `customer_count`         customers with a reason, of those sampled
    `named_move`             mean move of the answer when the features behind reasons are neutralised
    `random_move`            the same for as many features of random reasons
    `deletion_ratio`         the first over the second: 1 means that reasons say nothing
    `insertion_ratio`        the same when donors get these features instead
    `right_direction_share`  deletions that moved the answer as the reasons promised: .5 means that they say
                             nothing about this customer
    """

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

    horizon_days: int
    customer_count: int
    named_move: float
    random_move: float
    deletion_ratio: Estimate
    insertion_ratio: Estimate
    right_direction_share: float


class Stability(BaseModel):
    """How far two fits give the same reasons to the same customers, as means over customers.

    `rank_correlation`   Spearman's, between the effects of all reason codes
    `shared_share`       reasons (code and direction) named by both, over those named by either
    `same_first_share`   customers whose strongest reason is the same
    """

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

    horizon_days: int
    customer_count: int
    rank_correlation: float
    shared_share: float
    same_first_share: float


def measure_faithfulness(
    churn: ChurnModel, features: pd.DataFrame, *, horizon_days: int, seed: int
) -> Faithfulness | None:
    """Measure deletion and insertion on at most 2,000 customers of `features`, drawn at random.

    None where the method gives no reasons, no customer has one, or nothing moves the answer.
    """
    generator = np.random.default_rng(seed)
    sample = _sample(features, generator)
    effects = churn_effects(churn, sample, horizon_days=horizon_days)
    if effects is None:
        return None
    sets = _named_sets(effects, sample)
    if not len(sets.rows):
        return None
    moves = _moves(_Answers(churn, sample, horizon_days), sets, generator)
    if not moves.random_deletion.sum() or not moves.random_insertion.sum():
        return None
    deleted = _per_customer(sets.rows, moves.named_deletion, moves.random_deletion)
    inserted = _per_customer(sets.rows, moves.named_insertion, moves.random_insertion)
    return Faithfulness(
        horizon_days=horizon_days,
        customer_count=len(deleted),
        named_move=float(moves.named_deletion.mean()),
        random_move=float(moves.random_deletion.mean()),
        deletion_ratio=_ratio(deleted, generator),
        insertion_ratio=_ratio(inserted, generator),
        right_direction_share=float((moves.fall * sets.direction > _ROUNDING).mean()),
    )


def measure_stability(
    first: ChurnModel, second: ChurnModel, features: pd.DataFrame, *, horizon_days: int, seed: int
) -> Stability | None:
    """Compare the reasons of two fits of one recipe (say, with other seeds) on at most 2,000 customers.

    None where the method gives no reasons or no customer has one.
    """
    sample = _sample(features, np.random.default_rng(seed))
    one, other = (churn_effects(fit, sample, horizon_days=horizon_days) for fit in (first, second))
    if one is None or other is None:
        return None
    left, right = _directions(one), _directions(other)
    either = ((left != 0) | (right != 0)).any(axis=1)
    if not either.any():
        return None
    both = ((left == right) & (left != 0)).sum(axis=1)
    named = (left != 0).sum(axis=1) + (right != 0).sum(axis=1) - both
    return Stability(
        horizon_days=horizon_days,
        customer_count=int(either.sum()),
        rank_correlation=float(_rank_correlations(one.effects, other.effects)[either].mean()),
        shared_share=float((both[either] / named[either]).mean()),
        same_first_share=float((_firsts(one) == _firsts(other))[either].mean()),
    )


def faithfulness_text(found: Faithfulness) -> str:
    """Say in one sentence what a deletion test found."""
    ratio = found.deletion_ratio
    return (
        f"without the features behind a customer's reasons the answer moves {ratio.value:.1f} × as far as "
        f"without as many of random reasons ({ratio.low:.1f}–{ratio.high:.1f}), "
        f"the promised way in {found.right_direction_share:.0%} of cases (n = {found.customer_count:,})"
    )


def stability_text(found: Stability) -> str:
    """Say in one sentence how far two fits agree about reasons."""
    return (
        f"two fits share {found.shared_share:.0%} of a customer's reasons and name the same one first for "
        f"{found.same_first_share:.0%}; rank correlation {found.rank_correlation:.2f} "
        f"(n = {found.customer_count:,})"
    )


@dataclass(frozen=True, slots=True)
class _NamedSets:
    """Features that a customer's reasons of one direction name: `named` is one row a set, a column a feature.

    `rows` are the customers, `direction` is 1 where the reasons raise the answer and -1 where they lower it;
    `movable` are the features that differ between customers, `codes` the number of each feature's reason.
    """

    rows: NDArray[np.intp]
    direction: Floats
    named: Mask
    movable: Mask
    codes: NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class _Moves:
    """How far the answers moved, one value a set; `fall` is signed."""

    fall: Floats
    named_deletion: Floats
    random_deletion: Floats
    named_insertion: Floats
    random_insertion: Floats


def _sample(features: pd.DataFrame, generator: np.random.Generator) -> pd.DataFrame:
    chosen = generator.permutation(len(features))[:CUSTOMER_COUNT]
    return features.iloc[np.sort(chosen)]


def _named_sets(effects: ChurnEffects, features: pd.DataFrame) -> _NamedSets:
    """Find what to neutralise; what is the same for everybody cannot be and is not drawn either."""
    code_of = {feature.name: feature.reason for feature in FEATURES}
    codes = np.array([effects.codes.index(code_of[str(name)]) for name in features.columns])
    movable = (features.nunique(dropna=False) > 1).to_numpy()
    directions = _directions(effects)
    parts = []
    for direction in (1, -1):
        named = (directions == direction)[:, codes] & movable
        rows = np.flatnonzero(named.any(axis=1))
        parts.append((rows, np.full(len(rows), float(direction)), named[rows]))
    rows, signs, sets = (np.concatenate(part) for part in zip(*parts, strict=True))
    return _NamedSets(rows, signs, sets, movable, codes)


def _directions(effects: ChurnEffects) -> Floats:
    """Return 1 where a reason that raises the answer is named, -1 where one that lowers it is, else 0."""
    return np.asarray(np.where(effects.is_named, np.sign(effects.effects), 0.0))


class _Answers:
    """The model's answers, in the logit, when some features of customers are replaced by those of donors."""

    def __init__(self, churn: ChurnModel, features: pd.DataFrame, horizon_days: int) -> None:
        self._churn = churn
        self._horizon_days = horizon_days
        self._names = features.columns
        self._values = features.to_numpy(dtype=np.float64)

    @property
    def customer_count(self) -> int:
        """How many customers there are, each of whom may be a donor."""
        return len(self._values)

    def own(self, rows: NDArray[np.intp]) -> Floats:
        """Return the answers as they are."""
        return self._logits(self._values[rows])

    def without(self, rows: NDArray[np.intp], replaced: Mask, donors: NDArray[np.intp]) -> Floats:
        """Return the mean over donors (one row a draw) of the answers with their values where `replaced`."""
        own = self._values[rows]
        answers = [self._logits(np.where(replaced, self._values[drawn], own)) for drawn in donors]
        return np.asarray(np.mean(answers, axis=0))

    def _logits(self, values: Floats) -> Floats:
        rows = pd.DataFrame(values, columns=self._names)
        answers = self._churn.predict(rows, horizons_days=[self._horizon_days])
        return logit(answers[self._horizon_days].to_numpy())


def _moves(answers: _Answers, sets: _NamedSets, generator: np.random.Generator) -> _Moves:
    rows, named = sets.rows, sets.named
    donors = generator.integers(0, answers.customer_count, size=(DONOR_COUNT, len(rows)))
    own = answers.own(rows)
    nothing_left = answers.without(rows, np.broadcast_to(sets.movable, named.shape), donors)
    fall = own - answers.without(rows, named, donors)
    rise = answers.without(rows, sets.movable & ~named, donors) - nothing_left
    deletions, insertions = [], []
    for _ in range(DRAW_COUNT):
        drawn = _drawn_sets(sets, generator)
        deletions.append(np.abs(own - answers.without(rows, drawn, donors)))
        insertions.append(np.abs(answers.without(rows, sets.movable & ~drawn, donors) - nothing_left))
    return _Moves(fall, np.abs(fall), np.mean(deletions, axis=0), np.abs(rise), np.mean(insertions, axis=0))


def _drawn_sets(sets: _NamedSets, generator: np.random.Generator) -> Mask:
    """Draw as many movable features as each set has: reason by reason, at random, the last in part."""
    count, width = sets.named.shape
    turns = generator.permuted(np.tile(np.arange(sets.codes.max() + 1.0), (count, 1)), axis=1)
    lots = turns[:, sets.codes] + generator.random((count, width))
    order = np.argsort(np.where(sets.movable, lots, np.inf), axis=1)
    drawn = np.zeros_like(sets.named)
    np.put_along_axis(drawn, order, np.arange(width) < sets.named.sum(axis=1, keepdims=True), axis=1)
    return drawn


def _per_customer(rows: NDArray[np.intp], named: Floats, random: Floats) -> Floats:
    """Add up a customer's sets: one row a customer, columns named and random."""
    customers, places = np.unique(rows, return_inverse=True)
    sums = [np.bincount(places, weights=moves, minlength=len(customers)) for moves in (named, random)]
    return np.column_stack(sums)


def _ratio(sums: Floats, generator: np.random.Generator) -> Estimate:
    """Return the ratio of two columns' sums, rows resampled whole (Efron 1979)."""
    count = len(sums)
    weights = generator.multinomial(count, np.full(count, 1 / count), size=BOOTSTRAP_COUNT)
    named, random = (weights @ sums).T
    drawn = named[random > 0] / random[random > 0]
    low, high = np.quantile(drawn, [0.025, 0.975])
    total = sums.sum(axis=0)
    return Estimate(value=float(total[0] / total[1]), low=float(low), high=float(high))


def _firsts(effects: ChurnEffects) -> Floats:
    """Return the number, from 1 on, of each customer's strongest reason, with its sign; 0 for none."""
    directions = _directions(effects)
    strongest = np.argmax(np.abs(np.where(directions != 0, effects.effects, 0.0)), axis=1)
    sign = np.take_along_axis(directions, strongest[:, None], axis=1)[:, 0]
    return np.asarray(sign * (strongest + 1))


def _rank_correlations(left: Floats, right: Floats) -> Floats:
    """Return Spearman's correlation of each row; 0 where all of a row's values are equal."""
    ranks = [rankdata(values, axis=1) for values in (left, right)]
    first, second = (values - values.mean(axis=1, keepdims=True) for values in ranks)
    spread = np.sqrt((first**2).sum(axis=1) * (second**2).sum(axis=1))
    return np.asarray((first * second).sum(axis=1) / np.where(spread > 0, spread, 1.0))
