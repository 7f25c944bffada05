"""The chart under each set of values, and every kind of thing a sentence is about."""

from __future__ import annotations

import pytest
from chart.rendered import SETS, Chart, render


@pytest.fixture(params=SETS)
def chart(request: pytest.FixtureRequest) -> Chart:
    """The chart, once for each set of values."""
    return render(SETS[request.param])
