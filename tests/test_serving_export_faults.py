"""A list that streams while its reader goes away, or while the server is told to stop."""

import csv
import http.client
import io
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from export_shop import open_bench, publish_scores, serving

IDS = [f"c{number}" for number in range(20_000)]
URL = "/v1/audiences/at-risk/export.csv"


@pytest.fixture(scope="module")
def var(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("var")
    publish_scores(folder, {c: {} for c in IDS})
    return folder


@contextmanager
def asked(address: str, path: str) -> Iterator[http.client.HTTPResponse]:
    """Ask over a connection of one's own, which ends with the block, read to the end or not."""
    connection = http.client.HTTPConnection(address.removeprefix("http://"), timeout=60)
    with closing(connection):
        connection.request("GET", path)
        with closing(connection.getresponse()) as answer:
            yield answer


def ids_in(content: bytes) -> list[str]:
    return [row["customer_id"] for row in csv.DictReader(io.StringIO(content.decode(), newline=""))]


@pytest.mark.slow
def test_readers_that_go_away_trouble_nobody(var: Path) -> None:
    with serving(open_bench(var)) as (address, _):
        for _ in range(30):
            with asked(address, URL) as leaving:
                assert leaving.read(100).startswith(b"customer_id,")
        with asked(address, "/v1/customers/c7/predictions") as answer:
            assert (answer.status, b'"customer_id":"c7"' in answer.read()) == (200, True)
        with asked(address, URL) as staying:
            assert ids_in(staying.read()) == IDS


def test_a_server_that_is_stopped_never_passes_off_a_part_as_the_whole(var: Path) -> None:
    with serving(open_bench(var)) as (address, process), asked(address, URL) as answer:
        content = answer.read(10_000)
        process.terminate()
        try:
            content += answer.read()
        except (http.client.IncompleteRead, ConnectionError):
            return
        assert ids_in(content) == IDS
