"""The demo shows its own data, and leaves orders of others alone."""

from pathlib import Path

import pytest
from serving_shop import make_orders, write_history

from features.layout import Layout
from serving.demo import DemoError, _hash_of, check_folder


def test_an_empty_folder_and_its_own_data_are_taken(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "var")
    check_folder(layout)
    assert not layout.history.exists()
    write_history(layout.root, make_orders(6))
    begun = _hash_of(layout)
    check_folder(layout)  # the demo was stopped half-way
    (layout.root / "demo.hash").write_text(begun)
    check_folder(layout)
    assert _hash_of(layout) == begun
    assert (layout.root / "demo.hash").read_text() == begun


@pytest.mark.parametrize("was_demo", [False, True])
def test_orders_of_somebody_are_not_replaced(tmp_path: Path, *, was_demo: bool) -> None:
    layout = Layout(tmp_path / "var")
    write_history(layout.root, make_orders(6))
    if was_demo:
        (layout.root / "demo.hash").write_text("the hash of other orders")
    with pytest.raises(DemoError, match="make demo VAR=demo"):
        check_folder(layout)
