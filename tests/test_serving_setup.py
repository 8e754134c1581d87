"""The console's set-up: what is uploaded, what it seems to be, what may go wrong, what is left behind."""

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient
from test_serving_api import open_client

from features.layout import Layout
from features.mapping import load_mapping
from serving.console.setup_desk import mapping_text
from serving.setup_run import Runner, SetupStatus, read_status

ORDERS = "Kunde,Datum,Betrag\n1,2026-01-02,9.90\n2,2026-01-03,5\n"


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    with open_client(tmp_path) as opened:
        yield opened


def upload(client: TestClient, text: str = ORDERS, name: str = "orders.csv", **headers: str) -> str:
    answer = client.post("/setup/upload", files={"file": (name, text.encode())}, headers=headers)
    assert answer.status_code == 200, answer.text
    return re.sub(r"\s+", " ", answer.text)


def test_an_uploaded_file_is_shown_with_what_its_columns_may_be(client: TestClient, tmp_path: Path) -> None:
    page = upload(client)
    assert "orders.csv: 2 rows. Check what each column is." in page
    assert re.findall(r'<option value="(\w+)" selected>', page)[:3] == ["customer_id", "ordered_at", "amount"]
    assert "<bdi>9.90</bdi>" in page
    stored = tmp_path / "setup/orders.csv"
    assert (stored.stat().st_mode & 0o777, stored.parent.stat().st_mode & 0o777) == (0o600, 0o700)


def test_names_in_the_file_are_text_on_the_page(client: TestClient) -> None:
    page = upload(client, "<script>alert(1)</script>,b\n<img src=x>,2\n")
    assert "<script" not in page
    assert "<img" not in page
    assert "&lt;script&gt;" in page


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("orders.pdf", ORDERS, "This kind of file cannot be read."),
        ("orders.csv", "", "The file is empty."),
        ("orders.xlsx", "no workbook", "The file cannot be read as a table:"),
        ("../../x.csv.exe", ORDERS, "This kind of file cannot be read."),
    ],
)
def test_a_file_that_is_none_is_refused_and_not_kept(
    client: TestClient, tmp_path: Path, name: str, text: str, words: str
) -> None:
    assert words in upload(client, text, name)
    assert not (tmp_path / "setup").exists()
    assert "Traceback" not in upload(client, text, name)


def test_no_file_and_no_columns_are_told(client: TestClient) -> None:
    assert "Choose a file first." in client.post("/setup/upload").text
    assert "Choose a file first." in client.post("/setup/start").text
    upload(client)
    assert "Say at least which columns" in client.post("/setup/start", data={"column-0": "customer_id"}).text
    assert "File of orders" in client.post("/setup/clear").text


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"origin": "https://example.com"},
        {"origin": "null"},
    ],
)
def test_another_sites_form_does_nothing(client: TestClient, tmp_path: Path, headers: dict[str, str]) -> None:
    for path in ("/setup/upload", "/setup/start", "/setup/clear"):
        answer = client.post(path, files={"file": ("orders.csv", b"a,b\n1,2\n")}, headers=headers)
        assert (answer.status_code, answer.json()["type"]) == (403, "urn:regulars:problem:cross-site")
    assert not (tmp_path / "setup").exists()


def test_a_file_whose_dates_cannot_be_read_ends_the_work_with_the_reason(
    client: TestClient, tmp_path: Path
) -> None:
    upload(client, "Kunde,Datum,Betrag\n1,some day,9.90\n")
    columns = {"column-0": "customer_id", "column-1": "ordered_at", "column-2": "amount"}
    client.post("/setup/start", data=columns)
    assert load_mapping(tmp_path / "setup/mapping.toml").columns == {
        "Kunde": "customer_id",
        "Datum": "ordered_at",
        "Betrag": "amount",
    }
    end = time.monotonic() + 120
    while (status := read_status(tmp_path / "setup")) is None or status.state == "running":
        assert time.monotonic() < end
        time.sleep(0.1)
    assert status.state == "failed"
    page = client.get("/setup").text
    assert "It ended early:" in page
    assert "1 cells of column 'Datum' (100%) cannot be read" in status.error
    assert "Traceback" not in status.error
    assert "Check what each column is" in page
    assert not (tmp_path / "history").exists()


def test_a_worker_that_died_has_failed(tmp_path: Path) -> None:
    gone = SetupStatus(state="running", pid=2**22 - 1, step=1)
    (tmp_path / "status.json").write_text(gone.model_dump_json())
    found = read_status(tmp_path)
    assert found is not None
    assert (found.state, found.error) == ("failed", "it was stopped; begin again")


@pytest.mark.slow
def test_the_uploaded_file_is_gone_once_its_orders_are_in_the_history(tmp_path: Path) -> None:
    folder = tmp_path / "setup"
    folder.mkdir()
    (folder / "orders.csv").write_text("customer_id,ordered_at,amount\n1,2026-01-02,9.90\n")
    (folder / "mapping.toml").write_text(mapping_text({"columns": {}}))
    assert Runner(Layout(tmp_path), format_name=None, mode="upsert").run()
    status = json.loads((folder / "status.json").read_text())
    assert (status["state"], status["step"]) == ("done", 4)
    assert "1 orders of 1 customers" in status["report"]
    assert not (folder / "orders.csv").exists()
    assert (tmp_path / "history/manifest.json").exists()


def test_a_mapping_is_written_as_it_is_read(tmp_path: Path) -> None:
    columns = {'a "b"': "customer_id", "c\\d": "ordered_at", "돈\x7f\t": "amount"}
    path = tmp_path / "mapping.toml"
    path.write_text(mapping_text({"currency": "KRW", "time_zone": "", "columns": columns}), encoding="utf-8")
    mapping = load_mapping(path)
    assert (mapping.columns, mapping.currency, mapping.time_zone) == (columns, "KRW", None)
