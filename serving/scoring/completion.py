"""From what buckets told of their customers to a run's rows: cut points first, then a range at a time."""

from dataclasses import dataclass
from pathlib import Path

import polars as pl

from features.rfm import RfmCuts, RfmScheme, scheme_of
from features.settings import Settings
from serving.scoring.moves import TOTALS_BEFORE, cuts_before, with_standing
from serving.scoring.past_stages import PastStages
from serving.scoring.run_scores import RunLabels, complete_rows
from serving.scoring.shop_cuts import ShopCuts, cut_columns, measure_cuts
from serving.scoring.sorted_files import CUSTOMER
from serving.segments.trait_rows import with_known_traits


@dataclass(frozen=True, slots=True)
class Completion:
    """Turns what buckets told of their customers into the run's rows, by the cut points of the shop.

    `before` are the edges of the groups in which customers stood before (`moves.cuts_before`).
    """

    labels: RunLabels
    rfm: RfmScheme
    cuts: ShopCuts
    past: PastStages
    before: RfmCuts | None

    def of(self, bucket_rows: pl.DataFrame) -> pl.DataFrame:
        """Return the completed rows of some customers, and their traits beside them."""
        scores = complete_rows(bucket_rows, self.labels, cuts=self.cuts, rfm=self.rfm)
        standing = with_standing(
            bucket_rows, self.past, self.before, cuts=self.cuts, headline_days=self.labels.headline_days
        )
        return with_known_traits(scores, standing)


def measure_shop_cuts(paths: list[Path], past: PastStages, settings: Settings) -> ShopCuts:
    """Measure the cut points of a run on the rows of all buckets, of which the columns needed are read."""
    rfm = scheme_of(settings.rfm)
    return measure_cuts(
        pl.scan_parquet(paths, glob=False).select(cut_columns(rfm)).collect(),
        risk=settings.risk,
        lapsed_after_days=past.gaps.p95_days,
        rfm=rfm,
        stages=past.cuts,
    )


def measure_cuts_before(paths: list[Path], settings: Settings) -> RfmCuts | None:
    """Measure the edges of the groups in which the customers of all buckets stood before."""
    parts = (pl.read_parquet(path, columns=[CUSTOMER, TOTALS_BEFORE], glob=False) for path in paths)
    return cuts_before(parts, scheme_of(settings.rfm))
