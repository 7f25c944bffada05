"""What the caller gives: the values of a metric as they are known at this moment."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Sample:
    """One value of a metric, of whatever its labels name."""

    labels: Mapping[str, str]
    value: int
    at: float
    """When it was so, in seconds since 1970."""
    window: float | None = None
    """The seconds that it was gathered over, for a value that is no snapshot."""


Values = Callable[[str, str, Mapping[str, str]], Iterable[Sample]]
"""The samples of a namespace and a metric, out of memory: it is called for every request, and never does I/O.

The labels that come third are what a sample must have to be selected at all. Giving more does no harm; but an autoscaler asks for its one,
and making a thousand for it would be most of what its request costs.

What is not known is left out, and the HorizontalPodAutoscaler that asks for it holds its replicas. Nothing waiting is a sample of 0.
"""
