"""The settings file is its own manual: it equals the defaults, names every key, and refuses unknown ones."""

import tomllib
from pathlib import Path

import pytest
from pydantic import BaseModel

from features.settings import RecommenderSettings, Settings, SettingsError, load_settings

ROOT = Path(__file__).parent.parent
AUDIENCES = (
    "at-risk",
    "win-back",
    "champions",
    "one-time-buyers",
    "high-value",
    "dormant",
    "replenishment-due",
)
AUDIENCE_KEYS = ("title", "rule", "order", "enabled")


def _keys(model: type[BaseModel], prefix: str = "") -> set[str]:
    names = set()
    for name, field in model.model_fields.items():
        inner = field.annotation
        if name == "audiences":
            names |= {f"{prefix}{name}.{slug}.{key}" for slug in AUDIENCES for key in AUDIENCE_KEYS}
            continue
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            names |= _keys(inner, f"{prefix}{name}.")
        else:
            names.add(prefix + name)
    return names


def _flat(tree: dict[str, object], prefix: str = "") -> set[str]:
    names = set()
    for name, value in tree.items():
        names |= _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name}
    return names


def test_shipped_file_equals_the_defaults() -> None:
    assert load_settings(ROOT / "regulars.toml") == Settings()


def test_shipped_file_names_every_key() -> None:
    shipped = _flat(tomllib.loads((ROOT / "regulars.toml").read_text(encoding="utf-8")))
    assert shipped == _keys(Settings)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("sed = 1", "sed"),
        ("[churn]\nhorizon_days = -5", "churn.horizon_days"),
        ('[shop]\ntime_zone = "Mars/Olympus"', "IANA"),
        ('[recommender]\ndeny_product_ids = [""]', "recommender.deny_product_ids.0"),
        (
            '[recommender]\noffer_only = "price > name"',
            "recommender.offer_only: .*this is no filter: a value is",
        ),
        ("[recommender]\ndeny_categories = 5", "recommender.deny_categories"),
        ("[churn", "not readable TOML"),
        ("[audiences.vip]\ntitle = 'V'", "audiences.vip.rule"),
        ("[audiences.VIP]\ntitle = 'V'\nrule = 'lapsed'", "audiences.VIP"),
        ("[audiences.at-risk]\nrules = 'lapsed'", "audiences.at-risk.rules"),
        ("audiences = 5", "audiences: Input should be a valid dictionary"),
        ("audiences.at-risk = 5", "audiences.at-risk: Input should be"),
        ("[control]\nshare = 0.9", "control.share"),
    ],
)
def test_a_mistake_is_named(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "regulars.toml"
    path.write_text(text)
    with pytest.raises(SettingsError, match=said):
        load_settings(path)


def test_all_mistakes_are_named_at_once(tmp_path: Path) -> None:
    path = tmp_path / "regulars.toml"
    path.write_text("seed = -1\n[clv]\nhorizon_days = 99999")
    with pytest.raises(SettingsError, match=r"2 wrong entries.*seed.*clv\.horizon_days"):
        load_settings(path)


def test_a_named_file_must_exist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingsError, match="no settings file"):
        load_settings(tmp_path / "absent.toml")
    monkeypatch.setenv("REGULARS_CONFIG", str(tmp_path / "absent.toml"))
    with pytest.raises(SettingsError, match="no settings file"):
        load_settings()


def test_without_a_file_the_defaults_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REGULARS_CONFIG", raising=False)
    monkeypatch.chdir(tmp_path)
    assert load_settings() == Settings()


def test_a_recipe_does_not_depend_on_what_is_denied() -> None:
    denied = Settings(
        recommender=RecommenderSettings(
            deny_product_ids=("p",), deny_categories=("c",), offer_only="in_stock"
        )
    )
    assert denied.recipe_hash == Settings().recipe_hash
    assert Settings(recommender=RecommenderSettings(alpha=2.0)).recipe_hash != Settings().recipe_hash


def test_audiences_are_laid_over_those_built_in(tmp_path: Path) -> None:
    path = tmp_path / "regulars.toml"
    path.write_text(
        "[audiences.at-risk]\norder = 'predicted_clv desc'\n[audiences.dormant]\nenabled = false\n"
        "[audiences.vip]\ntitle = 'VIP'\nrule = 'predicted_clv >= 500'\n"
    )
    audiences = load_settings(path).audiences
    assert tuple(audiences) == (*AUDIENCES, "vip")
    assert audiences["at-risk"].rule == 'risk_band == "high" and lapsed != true'
    assert audiences["at-risk"].order == "predicted_clv desc"
    assert not audiences["dormant"].enabled
    assert audiences["vip"].order == "predicted_clv desc"


def test_a_recipe_does_not_depend_on_lists() -> None:
    changed = Settings.model_validate({"audiences": {"vip": {"title": "V", "rule": "lapsed"}}})
    assert changed.recipe_hash == Settings().recipe_hash


def test_a_campaign_s_response_lies_within_its_interval_and_is_no_recipe(tmp_path: Path) -> None:
    path = tmp_path / "regulars.toml"
    path.write_text("[campaign]\nresponse_share = 0.3\n")
    with pytest.raises(SettingsError, match=r"campaign: .*0\.3 lies outside response_low = 0\.05"):
        load_settings(path)
    path.write_text("[campaign]\noffer_cost = 5.0\n")
    assert load_settings(path).recipe_hash == Settings().recipe_hash
