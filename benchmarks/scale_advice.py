"""What a reader of the cost curve wants to know, in three sentences with the figures measured."""

from benchmarks.scale_curve import Book, Cost, line_words, step_exponent, whole_curve

_SPARE = 1.5
"""A machine has so many times the memory that the work took: the system and the service need some too."""


def advice(book: Book) -> str:
    """Return how big a machine, how long, when Spark pays; no text where nothing whole was measured."""
    curve = whole_curve(book)
    if not curve:
        return ""
    return " ".join([machine_words(curve), duration_words(curve), spark_words(book)])


def machine_words(curve: list[Cost]) -> str:
    """Say how much memory the whole way took by size, and which machine has that to spare."""
    told = ", ".join(f"{cost.gigabytes:.1f} GiB for {line_words(cost.line_count)}" for cost in curve)
    machines = " and ".join(str(machine_gigabytes(cost.gigabytes)) for cost in curve)
    return (
        f"How big a machine: from file to published scores took {told}; "
        f"with half as much again to spare, a machine of {machines} GiB."
    )


def machine_gigabytes(peak: float) -> int:
    """Return the smallest usual machine with half as much again as was needed: a power of two.

    >>> machine_gigabytes(2.0), machine_gigabytes(2.8), machine_gigabytes(11.0)
    (4, 8, 32)
    """
    size = 2
    while size < peak * _SPARE:
        size *= 2
    return size


def duration_words(curve: list[Cost]) -> str:
    """Say how long the whole way took by size, and what ten times the lines cost.

    >>> duration_words([Cost(1_000_000, "polars", "whole", 60.0, 60.0, 2.0)])
    'How long: 1.0 min (1.0 of processor time) for 1 million lines.'
    """
    told = ", ".join(
        f"{cost.seconds / 60:.1f} min ({cost.cpu_seconds / 60:.1f} of processor time) for "
        f"{line_words(cost.line_count)}"
        for cost in curve
    )
    exponent = step_exponent(curve)
    growth = "" if exponent is None else f": ten times the lines take {10**exponent:.1f} times the work"
    return f"How long: {told}{growth}."


def spark_words(book: Book) -> str:
    """Say how Spark compared with Polars on this machine, at the largest size at which both were measured."""
    polars = {cost.line_count: cost for cost in book.of("features")}
    both = [cost for cost in book.of("features", "pyspark") if cost.line_count in polars]
    if not both:
        return "When Spark pays was not measured: it was left out here."
    spark = both[-1]
    times = spark.seconds / polars[spark.line_count].seconds
    words = f"features of {line_words(spark.line_count)} took {times:.1f} times as long on it as on Polars"
    if times >= 1:
        return (
            f"When Spark pays: not on one machine, where {words}; it pays where the history is on a cluster "
            f"already, or where more than about {times:.0f} such machines can share the work."
        )
    return f"When Spark pays: from there on even on one machine, for {words}."
