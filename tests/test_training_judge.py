"""Verdicts: the lowest mean loss wins, and a difference is beyond doubt only if its interval says so."""

import numpy as np
import pandas as pd
import pytest

from training.judge import Field, compare, decide, mean_losses


def with_rule(name: str) -> Field:
    return Field(simple=frozenset({name}), rules=frozenset({name}))


RULE = with_rule("rule")


def losses_of(candidate: str, values: list[float], *, origin: str = "2026-01-01") -> pd.DataFrame:
    ids = [f"c{row}" for row in range(len(values))]
    return pd.DataFrame({"candidate": candidate, "origin": origin, "customer_id": ids, "loss": values})


def test_the_mean_is_over_origins_and_not_over_rows() -> None:
    table = pd.concat(
        [losses_of("m", [1.0, 1.0, 1.0, 1.0]), losses_of("m", [3.0], origin="2026-02-01")], ignore_index=True
    )
    assert mean_losses(table) == {"m": 2.0}


def test_a_model_that_is_better_for_everybody_wins_beyond_doubt() -> None:
    rule = losses_of("rule", [1.0, 2.0, 3.0, 4.0])
    model = losses_of("model", [0.9, 1.8, 2.9, 3.8])
    table = pd.concat([rule, model], ignore_index=True)
    verdict = decide(table, RULE, loss_name="x", resamples=200, seed=1)
    assert verdict.winner == "model"
    assert verdict.against_rule is not None
    assert verdict.against_rule.mean == pytest.approx(0.15)
    assert verdict.beats_baseline


def test_noise_is_told_as_noise() -> None:
    generator = np.random.default_rng(3)
    rule = losses_of("rule", list(generator.normal(1.0, 1.0, 400)))
    model = losses_of("model", list(rule["loss"] + generator.normal(-0.06, 1.0, 400)))
    table = pd.concat([rule, model], ignore_index=True)
    found = compare(table, "model", "rule", resamples=500, seed=1)
    assert found.low < 0 < found.mean < found.high
    assert not found.is_beyond_doubt


def test_a_rule_that_wins_has_no_rival_to_beat() -> None:
    table = pd.concat([losses_of("rule", [1.0, 1.0]), losses_of("model", [2.0, 2.0])], ignore_index=True)
    verdict = decide(table, RULE, loss_name="x", resamples=100, seed=1)
    assert (verdict.winner, verdict.against_rule, verdict.beats_baseline) == ("rule", None, False)


def test_a_model_that_is_only_as_good_as_a_rule_does_not_win() -> None:
    table = pd.concat([losses_of("z rule", [1.0, 0.0]), losses_of("a model", [0.5, 0.5])], ignore_index=True)
    verdict = decide(table, with_rule("z rule"), loss_name="x", resamples=100, seed=1)
    assert (verdict.winner, verdict.beats_baseline) == ("z rule", False)
    assert list(verdict.mean_losses) == ["z rule", "a model"]


def test_a_rule_that_cannot_serve_is_only_there_to_be_beaten() -> None:
    table = pd.concat([losses_of("alone", [1.0, 1.0]), losses_of("rung", [2.0, 2.0])], ignore_index=True)
    field = Field(frozenset({"alone", "rung"}), frozenset({"alone"}), frozenset({"alone"}))
    verdict = decide(table, field, loss_name="x", resamples=100, seed=1)
    assert (verdict.winner, verdict.beats_baseline) == ("rung", False)
    assert verdict.against_rule is not None
    assert (verdict.against_rule.rival, verdict.against_rule.mean) == ("alone", -1.0)


def test_a_rung_that_answers_as_its_own_rule_has_no_rival() -> None:
    table = pd.concat([losses_of("alone", [1.0, 3.0]), losses_of("rung", [1.0, 3.0])], ignore_index=True)
    field = Field(frozenset({"alone", "rung"}), frozenset({"alone"}), frozenset({"alone"}))
    verdict = decide(table, field, loss_name="x", resamples=100, seed=1)
    assert (verdict.winner, verdict.against_rule) == ("rung", None)


def test_a_simple_recipe_that_is_ahead_by_accident_does_not_take_a_models_place() -> None:
    generator = np.random.default_rng(11)
    model = losses_of("model", list(generator.normal(1.0, 1.0, 200)))
    swings = np.where(np.arange(200) % 2 == 0, 0.5, -0.5)
    near = losses_of("rule", list(model["loss"] + swings - 0.01))
    far = near.assign(loss=near["loss"] - 0.3)
    found = {}
    for name, rule in (("near", near), ("far", far)):
        table = pd.concat([rule, model], ignore_index=True)
        found[name] = decide(table, RULE, loss_name="x", resamples=300, seed=1)
    assert (found["near"].winner, found["far"].winner) == ("model", "rule")
    assert next(iter(found["near"].mean_losses)) == "model"
    assert not found["near"].beats_baseline


def test_ties_go_by_name_whatever_the_order_of_the_rows() -> None:
    table = pd.concat([losses_of("b", [1.0]), losses_of("a", [1.0])], ignore_index=True)
    assert next(iter(mean_losses(table))) == "a"


def test_the_interval_covers_the_true_difference_about_as_often_as_it_says() -> None:
    generator = np.random.default_rng(5)
    covered = 0
    for trial in range(100):
        base = generator.normal(1, 1, 80)
        rule, model = (
            losses_of("rule", list(base + 0.2)),
            losses_of("model", list(base + generator.normal(0, 0.5, 80))),
        )
        found = compare(pd.concat([rule, model]), "model", "rule", resamples=200, seed=trial)
        covered += found.low <= 0.2 <= found.high
    assert 88 <= covered <= 100
