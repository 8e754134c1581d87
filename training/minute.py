"""The scorecard in one minute: what a marketer can rely on, and what not."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from features.grade_steps import Grade
from models.registry_names import Task
from training.scorecard import Scorecard, Summary, TaskResult
from training.words import figure_text, percent_text

Tone = Literal["good", "care", "bad"]
TITLES: dict[Task, str] = {
    "churn": "Churn",
    "clv": "Customer lifetime value",
    "recommender": "Recommendations",
}


@dataclass(frozen=True, slots=True)
class Advice:
    """One sentence, and whether it says to rely on something, to take care, or to keep off."""

    tone: Tone
    text: str


def advice_of(scorecard: Scorecard) -> list[Advice]:
    """Return what can be relied on and what not, task by task."""
    makers = {"churn": _churn, "clv": _value, "recommender": _lists}
    found: list[Advice] = []
    for task, result in scorecard.tasks.items():
        if result.winner is None:
            text = (
                f"{TITLES[task]}: not tested, the history is too short for a back-test. Take it as a guess."
            )
            found.append(Advice("care", text))
        else:
            found += makers[task](result)
    return found


def _churn(result: TaskResult) -> Iterator[Advice]:
    found = _winner_metrics(result)
    yield _graded("Churn", "list", result)
    if result.grade == "F":
        return
    lift = found.get("lift_top_decile")
    if lift is not None and lift.mean is not None:
        usual = found["churned_share"].mean if "churned_share" in found else None
        times = f"{lift.mean:.1f} times as many as usual"
        text = f"Of the tenth called riskiest, {times} stayed away (usual: {percent_text(usual)})."
        yield Advice(_tone(result, "lift_top_decile"), text)
    error = found.get("ece")
    if error is not None and error.mean is not None:
        size = figure_text("ece", error.mean).removesuffix(" %")
        text = f"Where it said a percentage, it was off by {size} points on average"
        tone = _tone(result, "ece")
        end = "." if tone == "good" else ": rank by it, but do not quote it."
        yield Advice(tone, text + end)


def _value(result: TaskResult) -> Iterator[Advice]:
    found = _winner_metrics(result)
    yield _graded("Value", "figure", result)
    if result.grade == "F":
        return
    caught = found.get("top_20_captured")
    if caught is not None and caught.mean is not None:
        share = percent_text(caught.mean)
        text = f"The fifth valued highest brought {share} of what the truly best fifth spent."
        yield Advice("good" if caught.mean >= 0.5 else "care", text)
    bias = next((gate for gate in result.gates if gate.metric == "total_bias"), None)
    if bias is not None and bias.value is not None:
        values = [value for value in found["total_bias"].by_origin.values() if value is not None]
        ends = f"{figure_text('total_bias', min(values))} to {figure_text('total_bias', max(values))}"
        text = (
            f"The total of all customers was off by {percent_text(bias.value)} on average ({ends} by origin)"
        )
        end = "." if bias.passed else ": compare customers by it, but do not budget with the sum."
        yield Advice(_tone(result, "total_bias"), text + end)
    inside = found.get("buyers_inside_share")
    if inside is not None and inside.mean is not None:
        text = f"Of those who bought, {percent_text(inside.mean)} spent within their range; 80 % is right."
        yield Advice(_tone(result, "buyers_inside_share"), text)


def _lists(result: TaskResult) -> Iterator[Advice]:
    found = _winner_metrics(result)
    hit = found.get("hit_at_10")
    share = percent_text(hit.mean if hit else None)
    text = f"Recommendations: {share} of those who bought took at least one of the ten items shown."
    yield Advice("good" if result.beats_baseline else "care", text + _rule_text(result))


def _graded(title: str, thing: str, result: TaskResult) -> Advice:
    grade: Grade | None = result.grade
    if grade is None:
        return Advice("care", f"{title}: not graded.{_rule_text(result)}")
    if grade == "F":
        useless = f"This {thing} is no better than saying the same of everybody: do not act on it."
        return Advice("bad", f"{title}: grade F. {useless}")
    is_good = grade in {"A", "B"} and not _is_beaten(result)
    tone: Tone = "good" if is_good else "care"
    words = "rely on it" if is_good else "a hint, no more" if grade == "D" else "use it with care"
    return Advice(tone, f"{title}: grade {grade}, {words}.{_rule_text(result)}")


def _is_beaten(result: TaskResult) -> bool:
    """Say whether a simple rule is better beyond doubt."""
    return result.against_rule is not None and result.against_rule.high < 0


def _rule_text(result: TaskResult) -> str:
    found = result.against_rule
    if found is None:
        return f" A simple recipe, {result.winner}, serves: no model did better."
    if found.low > 0:
        return f" It beats the best simple rule, {found.rival}."
    if _is_beaten(result):
        return f" The simple rule {found.rival} is better."
    leaning = "It seems to beat" if found.mean > 0 else "It seems no better than"
    return f" {leaning} the best simple rule, {found.rival}, but that may be chance."


def _tone(result: TaskResult, metric: str) -> Tone:
    gates = [gate.passed for gate in result.gates if gate.metric == metric]
    return "good" if all(gates) else "care"


def _winner_metrics(result: TaskResult) -> dict[str, Summary]:
    return result.candidates[str(result.winner)].metrics[result.horizon_days]
