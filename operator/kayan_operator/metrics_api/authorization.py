"""Who may read which metric: Kubernetes' own roles decide, by a SubjectAccessReview."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from kayan_operator.metrics_api.documents import GROUP, VERSION
from kayan_operator.metrics_api.identity import Identity
from kayan_operator.metrics_api.kubernetes_api import ForbiddenError, KubernetesApi, KubernetesError, Object
from kayan_operator.metrics_api.remembered import Remembered

REVIEWS: Final = "/apis/authorization.k8s.io/v1/subjectaccessreviews"

ALLOWED_SECONDS: Final = 300.0
DENIED_SECONDS: Final = 30.0
"""As kube-apiserver keeps what a webhook answers."""
ALLOWED_IN_AN_OUTAGE_SECONDS: Final = 3600.0
"""How long a right outlives Kubernetes' silence. A denial does not."""

MASTERS: Final = "system:masters"
"""The group that may do everything everywhere, as kube-apiserver has it."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether it is allowed, and what the reviewer had to say."""

    allowed: bool
    reason: str = ""


@dataclass(frozen=True, slots=True)
class _Question:
    who: Identity
    namespace: str
    metric: str


class Authorizer:
    """Asks Kubernetes and remembers. ``trouble`` is the right that it lacks for asking, or None; ``clock`` counts seconds."""

    def __init__(self, api: KubernetesApi, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._api = api
        self._verdicts = Remembered[_Question, Verdict](
            self._review,
            seconds=lambda verdict: ALLOWED_SECONDS if verdict.allowed else DENIED_SECONDS,
            outlives=lambda verdict: ALLOWED_IN_AN_OUTAGE_SECONDS if verdict.allowed else 0.0,
            clock=clock,
        )
        self.trouble: KubernetesError | None = None

    async def verdict(self, who: Identity, namespace: str, metric: str) -> Verdict:
        """Whether somebody may read a metric of a namespace. Raises KubernetesError when nobody can say."""
        if MASTERS in who.groups:
            return Verdict(True)
        return await self._verdicts.get(_Question(who, namespace, metric))

    async def _review(self, question: _Question) -> Verdict:
        try:
            review = await self._api.create(REVIEWS, _body(question))
        except ForbiddenError as error:
            self.trouble = error
            raise
        self.trouble = None
        status = review.get("status") or {}
        return Verdict(bool(status.get("allowed")), str(status.get("reason") or status.get("evaluationError") or ""))


def _body(question: _Question) -> Object:
    # kube-apiserver calls every GET of a collection `list`, and metrics have no names below them
    attributes = {"group": GROUP, "version": VERSION, "resource": question.metric, "namespace": question.namespace, "verb": "list"}
    who = question.who
    user = {"user": who.name, "uid": who.uid, "groups": list(who.groups), "extra": {key: list(values) for key, values in who.extra}}
    return {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": {"resourceAttributes": attributes, **user}}
