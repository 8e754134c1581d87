"""Implicit alternating least squares: a vector per item, and customers folded in from what they own.

Hu, Koren, Volinsky, "Collaborative filtering for implicit feedback datasets" (2008): minimise
Σ c_ui (p_ui - x_u·y_i)² + λ(‖x‖² + ‖y‖²) with p = 1 and c = α × orders for owned items, p = 0 and c = 1
for others.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass
from typing import Self

import numpy as np
from implicit.cpu.als import AlternatingLeastSquares
from numpy.typing import NDArray
from scipy import sparse
from threadpoolctl import threadpool_limits

from models.recommender.catalogue import Bools, Floats, Ints
from models.recommender.lists import NO_ITEM

Vectors = NDArray[np.float32]

ALS_BYTES_MAX = 6 * 2**30
"""What learning factors may hold; where all customers need more, evenly spread ones teach."""
_BYTES_A_NUMBER = 4


@dataclass(frozen=True, slots=True)
class AlsSettings:
    """How factors are learnt; the same settings and purchases give the same bytes."""

    factor_count: int = 64
    regularization: float = 10.0
    alpha: float = 1.0
    iteration_count: int = 7
    seed: int = 0


def als_bytes(customer_count: int, item_count: int, pair_count: int, *, factor_count: int) -> int:
    """Return what learning factors holds: a vector each, and all pairs by customer and by item.

    A pair is a number and a place in each of the two matrices, a number four bytes.

    >>> als_bytes(1_500_000, 150_000, 8_000_000, factor_count=64)
    550400000
    """
    vectors = (customer_count + item_count) * factor_count
    return _BYTES_A_NUMBER * (vectors + 4 * pair_count)


class ItemFactors:
    """Item vectors (items × factors, float32) and how to fold a customer in.

    `customer_share`  of the customers, those who were learnt from; 1 where their number fits

    Call within `one_blas_thread()`: implicit fits with its own threads, and customers are served in blocks,
    one thread a block.
    """

    def __init__(self, vectors: Vectors, settings: AlsSettings, *, customer_share: float = 1.0) -> None:
        self.vectors = vectors
        self.settings = settings
        self.customer_share = customer_share
        self._solver = _solver(settings, thread_count=1)
        self._solver.item_factors = vectors
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        self._directions: Vectors = (vectors / np.maximum(lengths, 1e-12)).astype(np.float32)

    @classmethod
    def fit(cls, owned: sparse.csr_matrix, settings: AlsSettings, *, bytes_max: int = ALS_BYTES_MAX) -> Self:
        """Learn from customers × items with the number of orders of each, of all customers if that fits."""
        customers, items = owned.shape
        needed = als_bytes(customers, items, owned.nnz, factor_count=settings.factor_count)
        every = max(1, -(-needed // bytes_max))
        solver = _solver(settings)
        solver.fit(owned[::every] if every > 1 else owned, show_progress=False)
        vectors = np.asarray(solver.item_factors, dtype=np.float32)
        return cls(vectors, settings, customer_share=1.0 / every)

    def fold_in(self, owned: sparse.csr_matrix) -> Vectors:
        """Return the vectors of customers (rows of `owned`), zero for those who own nothing."""
        folded = self._solver.recalculate_user(np.arange(owned.shape[0]), owned)
        return np.asarray(folded, dtype=np.float32)

    def nearest(self, customers: Vectors, *, count: int, is_offered: Bools) -> tuple[Ints, Ints, Floats]:
        """Return (rows, items, scores) of the `count` best offered items of each customer, best first."""
        hidden = np.flatnonzero(~is_offered)
        wanted = min(count, len(is_offered) - len(hidden))
        if not wanted or not len(customers):
            return np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0)
        solver = copy(self._solver)  # several threads may serve at once
        solver.user_factors = customers
        rows = np.arange(len(customers))
        items, scores = solver.recommend(
            rows, None, N=wanted, filter_already_liked_items=False, filter_items=hidden
        )
        return np.repeat(rows, wanted), items.ravel().astype(np.int64), scores.ravel().astype(np.float64)

    def scores(self, customers: Vectors, rows: Ints, items: Ints) -> Floats:
        """Return x_u·y_i of some pairs."""
        products: Floats = np.einsum("ij,ij->i", customers[rows], self.vectors[items]).astype(np.float64)
        return products

    def most_alike(self, items: Ints, owned: Ints) -> Ints:
        """Return for each of `items` (rows × slots) the row's most alike one of `owned` (rows × places).

        Alike is the cosine of item vectors, if above 0; -1 pads both and is answered by -1.
        """
        cosines = self._directions[items] @ self._directions[owned].transpose(0, 2, 1)
        cosines[np.broadcast_to((owned == NO_ITEM)[:, None, :], cosines.shape)] = -np.inf
        best = cosines.argmax(axis=2)
        found = np.take_along_axis(owned, best, axis=1)
        likeness = np.take_along_axis(cosines, best[:, :, None], axis=2)[:, :, 0]
        return np.where((items == NO_ITEM) | (likeness <= 0), NO_ITEM, found)


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Keep BLAS to one thread: the same bytes on every machine, and no fight with implicit's own threads."""
    with threadpool_limits(1, "blas"):
        yield


def _solver(settings: AlsSettings, *, thread_count: int = 0) -> AlternatingLeastSquares:
    with one_blas_thread():
        return AlternatingLeastSquares(
            factors=settings.factor_count,
            regularization=settings.regularization,
            alpha=settings.alpha,
            iterations=settings.iteration_count,
            random_state=settings.seed,
            num_threads=thread_count,
        )
