"""`regulars.toml`: every key of training and scoring, validated before anything expensive starts.

The environment holds what belongs to a machine (addresses, secrets); see `serving.environment`.
"""

import hashlib
import os
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, ValidationError, field_validator

from features.audience_settings import DEFAULT_AUDIENCES, AudienceSettings, Slug, over_defaults
from features.basis import Basis, BasisName
from features.delivery_settings import (
    CampaignSettings,
    ChangeSettings,
    ControlSettings,
    ExportSettings,
    InboxSettings,
    LedgerSettings,
    SegmentSettings,
)
from features.errors import UserError
from features.item_filter import FilterError, compile_filter
from features.scales import RfmError, read_method
from features.section import Section

Engine = Literal["polars", "duckdb", "pyspark"]
Horizon = Annotated[int, Field(ge=1, le=1825)]
ShopText = Annotated[str, Field(min_length=1, max_length=256)]


class SettingsError(UserError):
    """`regulars.toml` cannot be read, has an unknown key or a value out of range."""


class ShopSettings(Section):
    """What belongs to the shop."""

    time_zone: str = "UTC"
    clv_basis: BasisName = "net"
    margin_share: Annotated[float, Field(ge=0, le=1)] = 0.0

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise ValueError(f"{value!r} is no IANA time zone; write one such as 'Europe/London'") from error
        return value

    @property
    def basis(self) -> Basis:
        """The money basis as these settings ask for it."""
        return Basis(self.clv_basis, self.margin_share)


class FeatureSettings(Section):
    """How features are built."""

    engine: Engine = "polars"
    observation_days: Annotated[int, Field(ge=0)] = 0


class BoostingSettings(Section):
    """LightGBM's parameters, under names that say what they do."""

    learning_rate: Annotated[float, Field(gt=0, le=1)] = 0.06
    leaf_count: Annotated[int, Field(ge=2, le=255)] = 15
    rows_per_leaf_min: Annotated[int, Field(ge=1)] = 60
    tree_count: Annotated[int, Field(ge=1, le=5000)] = 200
    feature_share: Annotated[float, Field(gt=0, le=1)] = 0.5
    row_share: Annotated[float, Field(gt=0, le=1)] = 0.7
    l2: Annotated[float, Field(ge=0)] = 5.0


class TrainingSettings(Section):
    """Whom churn and value learn from."""

    customers_max: Annotated[int, Field(ge=1)] = 50_000


class ChurnSettings(Section):
    """Churn: no order within the horizon."""

    horizon_days: Annotated[int, Field(ge=0, le=730)] = 0
    grid_days: tuple[Horizon, ...] = (14, 30, 60, 90, 180, 365)
    snapshots_max: Annotated[int, Field(ge=1, le=64)] = 16
    history_days_min: Annotated[int, Field(ge=1)] = 30
    training_rows_max: Annotated[int, Field(ge=1000)] = 3_000_000
    supported_snapshots_min: Annotated[int, Field(ge=1)] = 2
    supported_outcomes_min: Annotated[int, Field(ge=1)] = 200
    retail_year: Annotated[float, Field(ge=0, le=2)] = 1.0
    boosting: BoostingSettings = BoostingSettings()


class ClvSettings(Section):
    """Customer lifetime value: expected spend within the horizon."""

    horizon_days: Horizon = 365
    lifespan_days_default: Annotated[int, Field(ge=1)] = 1095
    discount_rate: Annotated[float, Field(ge=0, le=1)] = 0.0
    boosting: BoostingSettings = BoostingSettings()


class OwnRfmSettings(Section):
    """RFM scores of the shop's own: how each of the three is made (`features.scales`)."""

    recency: str = "quantile 5"
    frequency: str = "quantile 5"
    monetary: str = "quantile 5"
    all_history: bool = True

    @field_validator("recency", "frequency", "monetary")
    @classmethod
    def _known_method(cls, value: str) -> str:
        try:
            read_method(value)
        except RfmError as error:
            raise ValueError(str(error)) from error
        return value


class RfmSettings(Section):
    """RFM and the formula CLV."""

    preset: Literal["quintile_11", "shopify_2021", "own"] = "quintile_11"
    window_days: Annotated[int, Field(ge=1, le=3650)] = 365
    own: OwnRfmSettings = OwnRfmSettings()


class MovesSettings(Section):
    """Where customers stood before."""

    before_days: Annotated[int, Field(ge=1, le=1825)] = 90


class LifecycleSettings(Section):
    """The rules of lifecycle stages (`serving.scoring.stages`); a 0 stands for the shop's own measure."""

    new_days: Annotated[float, Field(ge=0, le=3650)] = 0.0
    onboarding_days: Annotated[float, Field(ge=0, le=3650)] = 0.0
    won_back_days: Annotated[float, Field(ge=0, le=3650)] = 0.0
    lost_days: Annotated[float, Field(ge=0, le=36_500)] = 0.0
    habit_orders: Annotated[int, Field(ge=2, le=100)] = 3
    loyal_orders: Annotated[int, Field(ge=0, le=10_000)] = 0
    slipping_times_own_gap: Annotated[float, Field(ge=1, le=100)] = 2.0


class RecommenderSettings(Section):
    """Recommendations."""

    outcome_days: Horizon = 14
    item_count_max: Annotated[int, Field(ge=10)] = 20_000
    popularity_days: Annotated[int, Field(ge=1)] = 28
    stored_depth: Annotated[int, Field(ge=1, le=200)] = 50
    factor_count: Annotated[int, Field(ge=2, le=512)] = 64
    regularization: Annotated[float, Field(ge=0)] = 10.0
    alpha: Annotated[float, Field(gt=0)] = 1.0
    iteration_count: Annotated[int, Field(ge=1, le=100)] = 7
    deny_product_ids: Annotated[tuple[ShopText, ...], Field(max_length=10_000)] = ()
    deny_categories: Annotated[tuple[ShopText, ...], Field(max_length=1_000)] = ()
    offer_only: str = ""

    @field_validator("offer_only")
    @classmethod
    def _known_filter(cls, value: str) -> str:
        try:
            if value:
                compile_filter(value)
        except FilterError as error:
            raise ValueError(f"this is no filter: {error.message}") from error
        return value


class BacktestSettings(Section):
    """Rolling origins."""

    origin_count: Annotated[int, Field(ge=1, le=24)] = 4
    bootstrap_count: Annotated[int, Field(ge=100)] = 1000


class PromotionSettings(Section):
    """Gates that a challenger must pass to take a standing champion's place."""

    grade_min: Literal["A", "B", "C", "D", "F"] = "F"
    loss_excess_max: Annotated[float, Field(ge=0)] = 0.0


class RiskSettings(Section):
    """Risk bands, against this shop's usual risk (the mean churn probability of customers not lapsed)."""

    medium_from_times_usual: Annotated[float, Field(gt=0)] = 1.0
    high_from_times_usual: Annotated[float, Field(gt=0)] = 1.5


class ScoringSettings(Section):
    """How a shop is scored; 0 processes are as many as cores, for a history of several buckets."""

    processes: Annotated[int, Field(ge=0, le=256)] = 0


class Settings(Section):
    """The whole of `regulars.toml`."""

    seed: Annotated[int, Field(ge=0)] = 20261122
    shop: ShopSettings = ShopSettings()
    features: FeatureSettings = FeatureSettings()
    training: TrainingSettings = TrainingSettings()
    scoring: ScoringSettings = ScoringSettings()
    churn: ChurnSettings = ChurnSettings()
    clv: ClvSettings = ClvSettings()
    rfm: RfmSettings = RfmSettings()
    moves: MovesSettings = MovesSettings()
    lifecycle: LifecycleSettings = LifecycleSettings()
    recommender: RecommenderSettings = RecommenderSettings()
    backtest: BacktestSettings = BacktestSettings()
    promotion: PromotionSettings = PromotionSettings()
    risk: RiskSettings = RiskSettings()
    ledger: LedgerSettings = LedgerSettings()
    inbox: InboxSettings = InboxSettings()
    control: ControlSettings = ControlSettings()
    changes: ChangeSettings = ChangeSettings()
    exports: ExportSettings = ExportSettings()
    campaign: CampaignSettings = CampaignSettings()
    segments: SegmentSettings = SegmentSettings()
    audiences: dict[Slug, AudienceSettings] = DEFAULT_AUDIENCES

    @field_validator("audiences", mode="before")
    @classmethod
    def _over_defaults(cls, value: Any) -> Any:  # noqa: ANN401 - pydantic judges it
        return over_defaults(value)

    @property
    def recipe_hash(self) -> str:
        """What a recipe depends on, as 16 hexadecimal digits.

        All but how it is judged, kept and shown, and on which engine and how many processes it is computed.
        """
        kept = ("ledger", "inbox", "exports", "changes", "scoring")
        shown = ("risk", "rfm", "lifecycle", "moves", "control", "audiences", "campaign", "segments")
        judged = dict.fromkeys(("backtest", "promotion", *kept, *shown), True)
        offered = {"recommender": {"deny_product_ids", "deny_categories", "offer_only"}}
        text = self.model_dump_json(exclude={**judged, **offered, "features": {"engine"}})
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def load_settings(path: Path | None = None) -> Settings:
    """Read `path`, else `$REGULARS_CONFIG`, else `regulars.toml` in the working directory, else the defaults.

    Raises `SettingsError` naming every wrong key at once.
    """
    chosen = path or Path(os.environ.get("REGULARS_CONFIG", "regulars.toml"))
    if not chosen.exists():
        if path is None and "REGULARS_CONFIG" not in os.environ:
            return Settings()
        raise SettingsError(
            f"no settings file at {chosen}; name an existing one or leave it out for the defaults"
        )
    try:
        return Settings.model_validate(tomllib.loads(chosen.read_text(encoding="utf-8")))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{chosen} is not readable TOML: {error}") from None
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise SettingsError(f"{chosen} has {error.error_count()} wrong entries: {problems}") from None
