"""Words of the console that stand in data, marked for translation: stages, groups, bands, tasks, metrics."""

from typing import Final


def marked(sentence: str) -> str:
    """Return a sentence as it is; whoever shows it translates it, and translators find it here."""
    return sentence


BANDS: Final = {"low": marked("low"), "medium": marked("medium"), "high": marked("high")}
STAGES: Final = {
    "prospect": marked("prospect"),
    "new": marked("new"),
    "onboarding": marked("onboarding"),
    "active": marked("active"),
    "loyal": marked("loyal"),
    "slipping": marked("slipping"),
    "at_risk": marked("at risk"),
    "lapsed": marked("lapsed"),
    "lost": marked("lost"),
    "won_back": marked("won back"),
}
ACTIONS: Final = {
    "welcome": marked("welcome, and show what goes with the first order"),
    "ease_next_order": marked("make the next order easy, and show what else there is"),
    "leave_alone": marked("leave alone, or show what is new"),
    "thank": marked("thank, and ask for an opinion; no discount is needed"),
    "remind": marked("remind of what they buy; no discount yet"),
    "write_now": marked("write now, with a reason to come back"),
    "win_back": marked("win back, by the dates on the customer’s page"),
    "let_rest": marked("let rest"),
    "welcome_back": marked("welcome back, and make the next order easy"),
}
"""What usually helps a customer (`serving.exports.actions`): the craft's advice, not a prediction."""
GROUPS: Final = {
    "CHAMPIONS": marked("Champions"),
    "LOYAL": marked("Loyal"),
    "ACTIVE": marked("Active"),
    "NEW": marked("New"),
    "PROMISING": marked("Promising"),
    "NEEDS_ATTENTION": marked("Needs attention"),
    "AT_RISK": marked("At risk"),
    "ALMOST_LOST": marked("Almost lost"),
    "PREVIOUSLY_LOYAL": marked("Previously loyal"),
    "DORMANT": marked("Dormant"),
    "PROSPECTS": marked("Prospects"),
    "top": marked("Top"),
    "middle": marked("Middle"),
    "bottom": marked("Bottom"),
}
SCORES: Final = {
    "rfm_recency": marked("Recency"),
    "rfm_frequency": marked("Frequency"),
    "rfm_monetary": marked("Money"),
}
AUDIENCES: Final = {
    "at-risk": marked("At risk"),
    "win-back": marked("Win back"),
    "champions": marked("Champions"),
    "one-time-buyers": marked("One-time buyers"),
    "high-value": marked("High value"),
    "dormant": marked("Dormant"),
    "replenishment-due": marked("Replenishment due"),
}
"""The titles of the lists that come with the program; those of a shop's own are its own words."""
SEGMENTS: Final = {
    "bought-lately": marked("Bought in the last three months"),
    "not-bought-lately": marked("Not bought in the last six months"),
    "bought-a-product": marked("Bought a given product"),
    "won-by-email": marked("Won by e-mail"),
    "lives-in": marked("Lives in a given country"),
    "large-order": marked("One or more large orders"),
    "used-a-coupon": marked("Used a coupon"),
    "high-order-value": marked("High average order value"),
    "new-customers": marked("First bought in the last 30 days"),
    "high-total-value": marked("High total value"),
    "ordered-again": marked("Two orders or more"),
    "many-items": marked("Many items bought"),
    "two-to-four-months": marked("Last order two to four months ago"),
    "viewed-again": marked("Viewed a product more than once"),
    "frequent-visits": marked("Visited on three days or more"),
    "loyalty-members": marked("In the loyalty programme"),
    "email-lately": marked("Opened or clicked an e-mail in the last three months"),
}
"""The titles of the segments that come with the program."""
SUGGESTED: Final = {
    "ready-to-buy": marked("Ready to buy"),
    "long-shots": marked("Long shots"),
    "high-value": marked("High value"),
    "potential-vips": marked("Potential VIPs"),
    "dormant": marked("Dormant"),
    "slipping-regulars": marked("Slipping regulars"),
    "second-order": marked("A second order is likely"),
    "worth-winning-back": marked("Worth winning back"),
}
"""The titles of the segments that are suggested."""
UNSUGGESTED: Final = {
    "no_values": marked("Not here: nobody has the prediction that it stands on."),
    "all_alike": marked(
        "Not here: the prediction is the same for too many customers to tell a fifth from the others."
    ),
    "no_repeat_orders": marked("Not here: nobody has ordered twice yet, so what is usual is not known."),
}
"""Why a shop has no such segment."""
UNSAVED: Final = {
    "taken": marked("A segment that comes with the program has this short name. Choose another."),
    "slug": marked(
        "The short name takes small letters a to z and digits, with single hyphens between them, at most 40 "
        "characters."
    ),
    "title": marked("The name takes 1 to 100 characters."),
    "text": marked("The condition cannot be saved as it stands. Mend it, count, and save again."),
    "full": marked(
        "As many segments are saved as may be. Give the short name of one that is there: this becomes its "
        "next version."
    ),
}
"""Why a segment was not saved."""
LEVELS: Final = {
    "acquisition_channel": marked("acquisition channel"),
    "lifecycle_stage": marked("stage"),
    "rfm_segment": marked("RFM group"),
    "favourite_category": marked("category ordered most often"),
}
"""The levels of the tree of micro-segments."""
KINDS: Final = {
    "for_you": marked("For you"),
    "buy_again": marked("Buy again"),
    "cross_sell": marked("Cross-sell"),
    "upsell": marked("Upsell"),
    "popular": marked("Popular"),
    "trending": marked("Trending"),
    "new": marked("New in the shop"),
    "similar": marked("Similar"),
    "bundle": marked("Bought together"),
}
TASKS: Final = {
    "churn": marked("Churn"),
    "clv": marked("Customer value"),
    "recommender": marked("Recommendations"),
}
METHODS: Final = {
    "ml": marked("machine learning"),
    "btyd": marked("a purchase-process model"),
    "formula": marked("a formula"),
    "baseline": marked("a simple rule"),
}
CANDIDATES: Final = {
    "lightgbm": marked("boosted trees"),
    "lightgbm_btyd": marked("boosted trees with a purchase process"),
    "hurdle": marked("boosted trees: whether, then how much"),
    "btyd": marked("purchase process (BTYD)"),
    "btyd_alone": marked("purchase process (BTYD) alone"),
    "recency": marked("recency"),
    "base_rate": marked("usual share"),
    "past_spend": marked("past spend"),
    "past_spend_alone": marked("past spend alone"),
    "formula": marked("CLV formula"),
    "formula_alone": marked("CLV formula alone"),
    "blend": marked("blend of several lists"),
    "als": marked("matrix factorisation (ALS)"),
    "item_knn": marked("similar products (item kNN)"),
    "top_freq": marked("what each customer bought most often"),
    "popular": marked("best-sellers"),
}
"""The recipes that may become champion, and the simple rules beside them."""
METRICS: Final = {
    "auc": marked("ranks right (AUC)"),
    "log_loss": marked("log-loss"),
    "ece": marked("calibration error"),
    "lift_top_decile": marked("lift in the top tenth"),
    "normalised_gini": marked("ranks money (Gini)"),
    "total_bias": marked("total off by"),
    "rmse": marked("error (RMSE)"),
    "ndcg_at_10": marked("NDCG@10"),
    "recall_at_10": marked("recall@10"),
    "hit_at_10": marked("hit rate@10"),
}
WARNINGS: Final = {
    "grade_f": marked(
        "The %(task)s model got grade F in its back-test: it knows no more than that everybody is alike. Do "
        "not act on its lists."
    ),
    "not_judged": marked(
        "The back-test could not grade churn (too short a history, or all customers did the same): nobody "
        "has checked these predictions."
    ),
    "old_data": marked(
        "The newest order is %(day_count)s days older than this run: dates told as ahead may have passed."
    ),
    "few_customers": marked(
        "%(customer_count)s customers teach little about each other: expect wide errors."
    ),
    "no_repeat_orders": marked("Nobody has ordered twice yet: nothing here tells who will."),
    "nearly_all_lapsed": marked(
        "%(lapsed_count)s of %(customer_count)s customers have been silent for longer than "
        "%(lapsed_after_days)s days: if that is not so, orders are missing."
    ),
    "no_orders_for_long": marked(
        "No order between %(first_date)s and %(last_date)s (%(day_count)s days): what lies in there was left "
        "out of training, but silence through it still looks like churn."
    ),
    "first_season": marked(
        "The shop has not lived through this time of the year yet: levels may be off, and intervals are "
        "wider."
    ),
    "denied_unknown": marked(
        "%(name_count)s of the names in deny_product_ids and deny_categories are not in the data (the first "
        "is %(first_name)s), so they keep nothing out of the lists: check how they are written."
    ),
}
BASES: Final = {
    "gross": marked("before returns"),
    "net": marked("after returns"),
    "margin": marked("after returns and the cost of the goods"),
}
