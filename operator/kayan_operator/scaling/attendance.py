"""Whether the ready pods of a target take jobs from its queues, or wait at another Redis: it tells people, and decides nothing."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence

from kayan_operator.cluster.fleet import Deployment
from kayan_operator.decision.facts import Consumers
from kayan_operator.decision.sentences import consumers as in_words
from kayan_operator.scaling.status import Condition

_PATIENCE_SECONDS = 60.0
"""A pod that has just become ready, or whose connection was lost, may take a while until the list has its name."""
_POD_SUFFIX = re.compile(r"-[a-z0-9]{1,10}-[a-z0-9]{5}")
_LONGEST_NAME = 46
"""Of a Deployment whose pods surely have all of it in theirs: Kubernetes cuts it otherwise."""


class Attendance:
    """Of one target. ``look`` is asked at each look at the scaler."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._absent_since: float | None = None
        self._said: Condition | None = None

    def look(self, target: Deployment, consumers: Consumers | None, queues: Sequence[str], *, active: int) -> Condition | None:
        """The condition Consuming; None where there is nothing to say, or nobody knows. ``active`` are the jobs that run."""
        if consumers is None or not target.ready or len(target.key.name) > _LONGEST_NAME or _work_unnamed(consumers, active):
            self._absent_since = self._said = None
            return None
        if any(_is_of(pod, target.key.name) for pod in consumers.pods):
            self._absent_since = None
            self._said = Condition("Consuming", True, "Connected", in_words(len(consumers.pods), consumers.node))
            return self._said
        now = self._clock()
        if self._absent_since is None:
            self._absent_since = now
        # both for long enough, and by a list that was read in the second half of that time
        is_certain = now - self._absent_since >= _PATIENCE_SECONDS and consumers.read_at >= self._absent_since + _PATIENCE_SECONDS / 2
        if is_certain:
            self._said = Condition("Consuming", False, "NotConnected", _complaint(target.ready, queues))
        return self._said


def _work_unnamed(consumers: Consumers, active: int) -> bool:
    """Whether there are some that the list does not show: jobs run, and nobody is there to run them."""
    return active > 0 and not consumers.pods and not consumers.node


def _is_of(pod: str, deployment: str) -> bool:
    return pod.startswith(deployment) and _POD_SUFFIX.fullmatch(pod, len(deployment)) is not None


def _complaint(ready: int, queues: Sequence[str]) -> str:
    whose = "1 pod is ready, but it does not wait" if ready == 1 else f"{ready} pods are ready, but none of them waits"
    where = f"queue {queues[0]}" if len(queues) == 1 else f"any of the queues {', '.join(queues)}"
    return (
        f"{whose} for jobs of {where} on the Redis that the operator reads: compare their REDIS_URL (or REDIS_HOST and so on), "
        "their BULL_PREFIX and which queues they serve with the QueueScaler's (or may their user not name its connections: CLIENT SETNAME?)"
    )
