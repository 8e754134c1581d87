"""The mapping file: every wrong entry named at once, and which source column becomes what."""

import json
from pathlib import Path

import pytest

from features.mapping import Mapping, MappingError, ReturnRules, load_mapping, resolve_columns
from features.report import Report
from features.tables import ORDER_LINES


def saved(folder: Path, text: str) -> Path:
    path = folder / "mapping.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_documented_mapping_is_valid(tmp_path: Path) -> None:
    page = Path("docs/data.md").read_text(encoding="utf-8")
    text = page.split("## The mapping file")[1].split("```toml\n")[1].split("```")[0]
    mapping = load_mapping(saved(tmp_path, text))
    assert mapping.date_format == ("%d.%m.%Y %H:%M",)
    assert mapping.columns["Kunde"] == "customer_id"
    assert mapping.returns == ReturnRules(rule="column", column="Status", values=("Retoure",))
    assert set(text.split()) >= set(Mapping.model_fields) - {"columns", "returns"}


def test_no_file_is_the_empty_mapping() -> None:
    assert load_mapping(None) == Mapping()


def test_every_wrong_entry_is_named_at_once(tmp_path: Path) -> None:
    text = 'colour = 1\ndecimal_mark = "x"\ncurrency = "euro"\ntime_zone = "Mars/North"\n'
    text += '[columns]\nA = "customer"\n'
    with pytest.raises(MappingError) as caught:
        load_mapping(saved(tmp_path, text + '[returns]\nrule = "column"\n'))
    for word in ("colour", "decimal_mark", "currency", "Mars/North", "'customer'", "returns"):
        assert word in str(caught.value)


@pytest.mark.parametrize("mark", ["", "ab", "§", '"', "\n"])
def test_a_mark_that_cannot_part_cells_is_refused(tmp_path: Path, mark: str) -> None:
    with pytest.raises(MappingError, match="cannot part cells; write one ASCII character such as"):
        load_mapping(saved(tmp_path, f"delimiter = {json.dumps(mark)}\n"))


@pytest.mark.parametrize("text", ["= 1", 'a = "b" c', "[columns]\nA = 'amount'\nB = 'amount'"])
def test_what_is_no_mapping_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(MappingError):
        load_mapping(saved(tmp_path, text))


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MappingError, match="cannot be read"):
        load_mapping(tmp_path / "none.toml")


def test_canonical_names_need_no_mapping_in_any_case() -> None:
    source = ["Customer_ID ", "ORDERED_AT", "amount", "x"]
    found = resolve_columns(source, Mapping(), table=ORDER_LINES, report=Report())
    assert found == {"customer_id": "Customer_ID ", "ordered_at": "ORDERED_AT", "amount": "amount"}


def test_the_mapping_outranks_a_canonical_name() -> None:
    mapping = Mapping(columns={"paid": "amount"})
    found = resolve_columns(["amount", "paid"], mapping, table=ORDER_LINES, report=Report())
    assert found == {"amount": "paid"}


def test_absent_source_columns_are_all_reported_with_the_nearest_name() -> None:
    report = Report()
    mapping = Mapping(
        columns={"Kunden": "customer_id", "zzz": "amount"},
        returns=ReturnRules(rule="column", column="S", values=("x",)),
    )
    resolve_columns(["Kunde", "Datum"], mapping, table=ORDER_LINES, report=report)
    assert [finding.column for finding in report.errors] == ["Kunden", "zzz", "S"]
    assert report.errors[0].mend == "did you mean 'Kunde'?"
