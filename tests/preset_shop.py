"""Ten customers on 2026-07-01, small enough to be told by hand; loaded and scored by the program itself."""

from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

from serving_shop import fit_champions, register

from features.history import History
from features.ingest import load
from features.layout import Layout
from features.sources import Request
from serving.environment import Environment
from serving.score import run_scoring
from serving.scoring.request import open_request
from serving.store.records import RunMeta

AS_OF = date(2026, 7, 1)
CHOICE = {"churn": "recency", "clv": "formula", "recommender": "popular"}
ORDERS = """customer_id,order_id,ordered_at,product_id,quantity,amount,coupon,currency
ann,A1,2026-06-30 10:00:00,tea,1,10.00,,EUR
ann,A2,2026-05-20 10:00:00,mug,2,20.00,SPRING,EUR
bob,B1,2025-12-01 10:00:00,kettle,1,150.00,,EUR
cem,C1,2026-01-02 00:00:00,tea,1,10.00,,EUR
dot,D1,2026-04-02 09:00:00,tea,3,30.00,,EUR
eve,E1,2026-04-01 23:59:00,mug,1,10.00,,EUR
fay,F1,2026-01-15 12:00:00,tea,1,10.00,,EUR
fay,F2,2026-02-15 12:00:00,tea,1,10.00,,EUR
fay,F3,2026-03-15 12:00:00,tea,1,10.00,FAY10,EUR
fay,F4,2026-04-15 12:00:00,tea,1,10.00,,EUR
fay,F5,2026-05-15 12:00:00,tea,1,10.00,,EUR
fay,F6,2026-06-15 12:00:00,tea,1,10.00,,EUR
gus,G1,2026-06-10 10:00:00,kettle,1,160.00,,EUR
hal,H1,2025-10-10 10:00:00,mug,1,5.00,,EUR
hal,H2,2026-05-01 10:00:00,mug,1,5.00,,EUR
hal,H2,2026-05-05 10:00:00,mug,-1,-5.00,,EUR
ivy,I1,2026-03-01 10:00:00,tea,2,20.00,,EUR
jan,J1,2026-02-01 10:00:00,mug,12,12.00,,EUR
"""
PRODUCTS = "product_id,name,category\ntea,Tea,Drinks\nmug,Mug,Kitchen\nkettle,Kettle,Kitchen\n"
CUSTOMERS = """customer_id,country,acquisition_channel
ann,KR,email
bob,KR,ads
cem,KR,
dot,GB,
fay,,newsletter
"""
EVENTS = """customer_id,event_type,occurred_at,product_id,value
ann,product_viewed,2026-06-28 10:00:00,tea,
ann,product_viewed,2026-06-28 11:00:00,mug,
ann,product_viewed,2026-06-29 10:00:00,tea,
bob,product_viewed,2025-11-30 10:00:00,kettle,
bob,email_opened,2026-04-02 00:00:00,,
ann,email_clicked,2026-06-20 10:00:00,,
cem,email_clicked,2026-04-01 10:00:00,,
dot,session_started,2026-03-01 10:00:00,,
dot,session_started,2026-03-02 10:00:00,,
dot,session_started,2026-04-01 10:00:00,,
ann,loyalty_tier_changed,2026-02-01 10:00:00,,1
ann,loyalty_tier_changed,2026-06-01 10:00:00,,2
eve,loyalty_tier_changed,2026-02-01 10:00:00,,1
eve,loyalty_tier_changed,2026-03-01 10:00:00,,0
"""
LISTS = {
    "bought-lately": "ann dot fay gus hal",
    "not-bought-lately": "bob",
    "bought-a-product": "ann cem dot fay ivy",
    "won-by-email": "ann fay",
    "lives-in": "ann bob cem",
    "large-order": "bob gus",
    "used-a-coupon": "ann fay",
    "high-order-value": "bob gus",
    "new-customers": "gus",
    "high-total-value": "bob gus",
    "ordered-again": "ann fay hal",
    "many-items": "fay jan",
    "two-to-four-months": "dot eve hal",
    "viewed-again": "ann",
    "frequent-visits": "dot",
    "loyalty-members": "ann",
    "email-lately": "ann bob",
}
"""Who is in which preset, told by hand from what is above."""


def make_preset_shop(root: Path) -> RunMeta:
    """Load the shop, register simple champions, and publish a run."""
    files = {"orders": ORDERS, "products": PRODUCTS, "customers": CUSTOMERS, "events": EVENTS}
    for name, text in files.items():
        (root / f"{name}.csv").write_text(text, encoding="utf-8")
    companions = {name: root / f"{name}.csv" for name in ("products", "customers", "events")}
    request = Request(files=(root / "orders.csv",), companions=companions)
    load(request, layout=Layout(root), now=datetime(2026, 7, 1, 1, tzinfo=UTC))
    history = History.open(Layout(root).history)
    register(root, fit_champions(history, AS_OF, choice=CHOICE), as_of=AS_OF)  # type: ignore[arg-type]
    return score_again(root)


def add_orders(root: Path, lines: str, *, now: datetime) -> None:
    """Load further lines of orders."""
    (root / "more.csv").write_text(ORDERS.splitlines()[0] + "\n" + lines, encoding="utf-8")
    load(Request(files=(root / "more.csv",)), layout=Layout(root), now=now)


def score_again(root: Path) -> RunMeta:
    """Publish a run of all that is loaded, however far it is from the one before."""
    request = open_request(Environment(var=root), as_of=None, out=None)
    return run_scoring(replace(request, is_looked_at=True), lambda _: None)
