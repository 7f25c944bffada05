"""Which of the operator's replicas acts: the one that holds a Lease.

A lease is taken when it was not renewed for its duration *by the clock of whoever looks*, counted from when the renewal was seen: no
two machines' clocks are compared, and none may jump. A holder that could not renew in time stops acting before anybody else may begin,
and one that leaves gives the lease back, so that the next need not wait.

A process that stood still (SIGSTOP, a machine that slept) finds by its clock that its time is over, before it writes anything. Of a
virtual machine that was paused by its host all clocks may have stood still as well: until the next renewal, two seconds at most, it takes
itself for the leader. What it does to fences then is refused by its *term*, a number that rises with each leadership.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

from kayan_workers import logs
from kayan_workers.bull.ending import end, undisturbed

from kayan_operator.cluster import kube
from kayan_operator.cluster.kube import ApiError, Kube
from kayan_operator.queues.fences import Term

DURATION_SECONDS = 10
_RENEW_SECONDS = 2.0
_AGAIN_SECONDS = 0.5
"""After a renewal that came to nothing: a connection that hangs costs two seconds, and there must be time for another."""
_GIVE_UP_SECONDS = 7.0
"""A holder that has not renewed for so long no longer acts; what it has begun has ended before the duration is over."""
_KEPT = ("name", "namespace", "resourceVersion", "labels", "annotations", "ownerReferences")
"""Of the Lease's metadata: it is somebody else's as well, a Helm release's, say."""
_RELEASE_SECONDS = 3.0
"""Who leaves takes no longer for giving the lease back."""


def clock() -> float:
    """Seconds that also pass while the machine sleeps, where there is such a clock."""
    return time.clock_gettime(_CLOCK)


_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class Leadership:
    """Takes part in the election of one Lease for as long as ``run`` runs, and does ``lead`` while elected."""

    def __init__(self, api: Kube, namespace: str, name: str, identity: str, *, clock: Callable[[], float] = clock) -> None:
        self._api = api
        self._namespace = namespace
        self._name = name
        self.identity = identity
        self._clock = clock
        self._seen: tuple[str, str] | None = None
        """Holder and time of renewal, as last read."""
        self._seen_at = 0.0
        self._until = float("-inf")
        self._over = float("-inf")
        """When the lease may be another's, if it is not renewed. It outlives ``_until`` when this replica leaves."""
        self.term = Term("", 0)
        """Of the latest time that this replica was elected."""
        self.holder = ""
        """Who holds the lease, as last read."""
        self._log = logs.get(lease=name)

    @property
    def leads(self) -> bool:
        """Whether this replica may act, this very moment."""
        return self._clock() < self._until

    @property
    def seconds_left(self) -> float:
        """How long what this replica writes may still take: until another may act. 0 for who must begin nothing; while it leaves it may
        still tidy up."""
        left = self._over - self._clock()
        return left if left > DURATION_SECONDS - _GIVE_UP_SECONDS else 0.0

    async def run(self, lead: Callable[[], Awaitable[None]]) -> None:
        """``lead`` is called whenever this replica is elected, and cancelled when it is no longer. Cancel ``run`` to leave: the lease is
        given back."""
        try:
            while True:
                if await self._take_or_renew():
                    await self._lead(lead)
                await asyncio.sleep(_RENEW_SECONDS)
        finally:
            self._until = self._over = float("-inf")
            await undisturbed(self._release())

    async def _lead(self, lead: Callable[[], Awaitable[None]]) -> None:
        self._log.info("leader.elected", identity=self.identity)
        leading, pause = asyncio.ensure_future(lead()), _RENEW_SECONDS
        try:
            while self.leads and not leading.done():
                await asyncio.wait([leading], timeout=min(pause, self._until - self._clock()))
                if leading.done():
                    break
                ours = await self._take_or_renew()
                if ours is False:
                    self._until = self._over = float("-inf")
                pause = _RENEW_SECONDS if ours else _AGAIN_SECONDS
        finally:
            self._until = float("-inf")
            self._log.info("leader.stepped_down", identity=self.identity, holder=self.holder)
            await end([leading])
        if not leading.cancelled():
            leading.result()  # which has ended by itself: for good, or with an error that everybody should hear of

    async def _take_or_renew(self) -> bool | None:
        """False when another holds the lease, None when nobody knows."""
        begun = self._clock()
        patience = min(_RENEW_SECONDS, self._until - begun) if self.leads else _RENEW_SECONDS
        try:
            async with asyncio.timeout(patience):
                ours = await self._try()
        except TimeoutError:
            return None
        except ApiError as error:
            if not error.is_conflict:  # a conflict: another was quicker, or our own last try after all
                self._log.warning("leader.unsure", error=str(error))
            return None
        if ours:
            self._until, self._over = begun + _GIVE_UP_SECONDS, begun + DURATION_SECONDS
        return ours

    async def _try(self) -> bool:
        path = kube.leases(self._namespace, self._name)
        try:
            lease = await self._api.get(path)
        except ApiError as error:
            if not error.is_gone:
                raise
            self._hold(await self._api.create(kube.leases(self._namespace), self._body({}, None)))
            return True
        spec = lease.get("spec") or {}
        self.holder = spec.get("holderIdentity") or ""
        if self.holder not in ("", self.identity) and not self._is_over(spec):
            return False
        self._hold(await self._api.replace(path, self._body(spec, lease["metadata"])))
        return True

    def _hold(self, lease: dict[str, Any]) -> None:
        self.holder = self.identity
        self.term = Term(lease["metadata"]["uid"], lease["spec"]["leaseTransitions"])

    def _is_over(self, spec: dict[str, Any]) -> bool:
        seen = (spec.get("holderIdentity") or "", spec.get("renewTime") or "")
        now = self._clock()
        if seen != self._seen:
            self._seen, self._seen_at = seen, now
        return now - self._seen_at > (spec.get("leaseDurationSeconds") or DURATION_SECONDS)

    def _body(self, before: dict[str, Any], metadata: dict[str, Any] | None) -> dict[str, Any]:
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        # a process that finds its own name there before it ever was elected was started anew, and its forerunner's term is over
        ours = before.get("holderIdentity") == self.identity and bool(self.term.lease)
        spec = {
            "holderIdentity": self.identity,
            "leaseDurationSeconds": DURATION_SECONDS,
            "acquireTime": before.get("acquireTime", now) if ours else now,
            "renewTime": now,
            "leaseTransitions": (before.get("leaseTransitions") or 0) + (0 if ours or metadata is None else 1),
        }
        return {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": self._name, "namespace": self._namespace} if metadata is None
            else {key: metadata[key] for key in _KEPT if key in metadata},
            "spec": spec,
        }

    async def _release(self) -> None:
        path = kube.leases(self._namespace, self._name)
        with contextlib.suppress(ApiError, TimeoutError):
            async with asyncio.timeout(_RELEASE_SECONDS):
                while (lease := await self._api.get(path)).get("spec", {}).get("holderIdentity") == self.identity:
                    body = self._body(lease["spec"], lease["metadata"])
                    body["spec"] |= {"holderIdentity": "", "leaseDurationSeconds": 1}
                    try:
                        await self._api.replace(path, body)
                    except ApiError as error:
                        if not error.is_conflict:  # a renewal of ours that was under way when we were told to leave
                            raise
