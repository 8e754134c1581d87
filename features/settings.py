"""`regulars.toml`: every key of training and scoring, validated before anything expensive starts.

The environment holds what belongs to a machine (addresses, secrets); see `serving.environment`.
"""

import hashlib
import os
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from features.audience_settings import DEFAULT_AUDIENCES, AudienceSettings, Slug, over_defaults
from features.basis import Basis, BasisName
from features.errors import UserError
from features.item_filter import FilterError, compile_filter

Horizon = Annotated[int, Field(ge=1, le=1825)]
ShopText = Annotated[str, Field(min_length=1, max_length=256)]


class SettingsError(UserError):
    """`regulars.toml` cannot be read, has an unknown key or a value out of range."""


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ShopSettings(_Section):
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


class FeatureSettings(_Section):
    """How features are built."""

    engine: Literal["polars", "duckdb"] = "polars"
    observation_days: Annotated[int, Field(ge=0)] = 0


class BoostingSettings(_Section):
    """LightGBM's parameters, under names that say what they do."""

    learning_rate: Annotated[float, Field(gt=0, le=1)] = 0.06
    leaf_count: Annotated[int, Field(ge=2, le=255)] = 15
    rows_per_leaf_min: Annotated[int, Field(ge=1)] = 60
    tree_count: Annotated[int, Field(ge=1, le=5000)] = 200
    feature_share: Annotated[float, Field(gt=0, le=1)] = 0.5
    row_share: Annotated[float, Field(gt=0, le=1)] = 0.7
    l2: Annotated[float, Field(ge=0)] = 5.0


class ChurnSettings(_Section):
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


class ClvSettings(_Section):
    """Customer lifetime value: expected spend within the horizon."""

    horizon_days: Horizon = 365
    lifespan_days_default: Annotated[int, Field(ge=1)] = 1095
    discount_rate: Annotated[float, Field(ge=0, le=1)] = 0.0
    boosting: BoostingSettings = BoostingSettings()


class RfmSettings(_Section):
    """RFM and the formula CLV."""

    preset: Literal["quintile_11", "shopify_2021"] = "quintile_11"
    window_days: Annotated[int, Field(ge=1, le=3650)] = 365


class RecommenderSettings(_Section):
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


class BacktestSettings(_Section):
    """Rolling origins."""

    origin_count: Annotated[int, Field(ge=1, le=24)] = 4
    bootstrap_count: Annotated[int, Field(ge=100)] = 1000


class PromotionSettings(_Section):
    """Gates that a challenger must pass to take a standing champion's place."""

    grade_min: Literal["A", "B", "C", "D", "F"] = "F"
    loss_excess_max: Annotated[float, Field(ge=0)] = 0.0


class RiskSettings(_Section):
    """Risk bands, against this shop's usual risk (the mean churn probability of customers not lapsed)."""

    medium_from_times_usual: Annotated[float, Field(gt=0)] = 1.0
    high_from_times_usual: Annotated[float, Field(gt=0)] = 1.5


class LedgerSettings(_Section):
    """The ledger of scores: predictions kept until they can be graded."""

    keep_days: Annotated[int, Field(ge=0, le=36_500)] = 0


class InboxSettings(_Section):
    """What the API received."""

    keep_days: Annotated[int, Field(ge=1, le=3_650)] = 90


class ControlSettings(_Section):
    """The control group of every named list: people kept out of it on purpose."""

    share: Annotated[float, Field(ge=0, le=0.5)] = 0.1
    list_size_min: Annotated[int, Field(ge=1)] = 500


class SegmentSettings(_Section):
    """The tree of micro-segments."""

    leaf_customers_min: Annotated[int, Field(ge=1)] = 50


class ExportSettings(_Section):
    """Files made by jobs."""

    keep_days: Annotated[int, Field(ge=1, le=365)] = 7


class CampaignSettings(_Section):
    """What a contact costs and brings unless a call says otherwise (`features.profit`)."""

    margin_share: Annotated[float, Field(ge=0, le=1)] = 0.5
    offer_cost: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    contact_cost: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    response_share: Annotated[float, Field(ge=0, le=1)] = 0.1
    response_low: Annotated[float, Field(ge=0, le=1)] = 0.05
    response_high: Annotated[float, Field(ge=0, le=1)] = 0.15
    loyal_redeem_share: Annotated[float, Field(ge=0, le=1)] = 1.0

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if not self.response_low <= self.response_share <= self.response_high:
            raise ValueError(
                f"response_share = {self.response_share} lies outside response_low = {self.response_low} to "
                f"response_high = {self.response_high}; set all three"
            )
        return self


class ChangeSettings(_Section):
    """The feed of changes, lifecycle events, and the webhooks that carry them."""

    probability_step: Annotated[float, Field(gt=0, le=1)] = 0.05
    clv_step_share: Annotated[float, Field(gt=0)] = 0.10
    band_margin_share: Annotated[float, Field(ge=0, lt=1)] = 0.10
    nth_orders: Annotated[tuple[Annotated[int, Field(ge=2)], ...], Field(max_length=20)] = (2, 5, 10)
    due_within_days: Annotated[int, Field(ge=0, le=60)] = 3
    inactive_click_days: Annotated[int, Field(ge=1, le=3650)] = 91
    inactive_purchase_days: Annotated[int, Field(ge=1, le=3650)] = 182
    late_days_max: Annotated[int, Field(ge=1, le=3650)] = 30
    keep_days: Annotated[int, Field(ge=1, le=3650)] = 30
    webhook_timeout_seconds: Annotated[float, Field(gt=0, le=60)] = 10.0
    webhook_ports: Annotated[tuple[Annotated[int, Field(ge=1, le=65535)], ...], Field(min_length=1)] = (
        443,
        8443,
    )
    webhook_private_addresses: bool = False


class Settings(_Section):
    """The whole of `regulars.toml`."""

    seed: Annotated[int, Field(ge=0)] = 20261122
    shop: ShopSettings = ShopSettings()
    features: FeatureSettings = FeatureSettings()
    churn: ChurnSettings = ChurnSettings()
    clv: ClvSettings = ClvSettings()
    rfm: RfmSettings = RfmSettings()
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
        """What a recipe depends on, as 16 hexadecimal digits: all but how it is judged, kept and shown."""
        kept = ("ledger", "inbox", "exports", "changes")
        shown = ("risk", "rfm", "control", "audiences", "campaign", "segments")
        judged = dict.fromkeys(("backtest", "promotion", *kept, *shown), True)
        offered = {"recommender": {"deny_product_ids", "deny_categories", "offer_only"}}
        text = self.model_dump_json(exclude={**judged, **offered})
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


@dataclass(frozen=True, slots=True)
class Layout:
    """Where everything that the program writes lies, under one root (`var/`; `VAR=` moves it)."""

    root: Path

    @property
    def history(self) -> Path:
        """Canonical order history (generations and manifest)."""
        return self.root / "history"

    @property
    def headline(self) -> Path:
        """The headline horizon that the first training settled on; forgotten when the history is replaced."""
        return self.root / "headline.json"

    @property
    def private(self) -> Path:
        """Identities and secrets, mode 0700; never read by features, models or MLflow."""
        return self.root / "private"

    @property
    def reports(self) -> Path:
        """Usability reports and scorecards."""
        return self.root / "reports"

    @property
    def backtest(self) -> Path:
        """Stored per-origin predictions of the last back-test."""
        return self.root / "backtest"

    @property
    def mlflow(self) -> Path:
        """MLflow's database and artefacts, unless `MLFLOW_TRACKING_URI` points elsewhere."""
        return self.root / "mlflow"

    @property
    def scores(self) -> Path:
        """Score runs and the pointer to the live one."""
        return self.root / "scores"

    @property
    def state(self) -> Path:
        """What outlives score runs: API keys; mode 0700."""
        return self.root / "state"

    @property
    def exports(self) -> Path:
        """Files that export jobs made, a folder a job, mode 0700."""
        return self.root / "exports"

    @property
    def setup(self) -> Path:
        """The file that the console's set-up works on, and how far it is; mode 0700."""
        return self.root / "setup"

    @property
    def outcomes(self) -> Path:
        """Who was on lists that left, until it is known what came of them; mode 0700."""
        return self.root / "outcomes"

    @property
    def ledger(self) -> Path:
        """What every published run said of every customer, until it is graded."""
        return self.root / "ledger"
