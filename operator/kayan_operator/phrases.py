"""The operator's events in words, for ``LOG_FORMAT=text``."""

from __future__ import annotations

from typing import Final

from kayan_workers.logs import Phrases

PHRASES: Final[Phrases] = {
    "operator.started": ("🚀", "operator {identity} started for the QueueScalers of {namespaces}; health and metrics on port {port}"),
    "operator.stopped": ("👋", "operator stopped"),
    "operator.failed": ("❌", "the operator cannot go on: {error}"),
    "operator.stumbled": ("❌", "a look at the queues failed, and is tried again: {error}"),
    "operator.waits": ("⏳", "not begun yet: {error}"),
    "operator.resync_failed": ("⚠️ ", "the cluster could not be read anew: {error}"),
    "leader.elected": ("✅", "{identity} leads"),
    "leader.stepped_down": ("📴", "{identity} leads no longer; the lease is held by {holder}"),
    "leader.unsure": ("⚠️ ", "the lease {lease} could not be taken or renewed: {error}"),
    "redis.unlisted": ("ℹ️ ", "Redis {server}: {message} ({error})"),
    "redis.deaf": ("⚠️ ", "Redis {server}: {message} ({error})"),
    "scale.changed": ("📊", "{namespace}/{scaler}: from {before} to {after} ({mode}): {why}"),
    "scale.failed": ("⚠️ ", "{namespace}/{scaler}: could not be scaled in: {error}"),
    "scale.left": ("📴", "{namespace}/{scaler}: a scale-in is left to who leads now: {error}"),
    "scale.survived": ("⚠️ ", "{namespace}/{scaler}: {pods} were to go and are still there; instead of them: {instead}, {interrupted} jobs"),
    "scaler.condition": ("  ", "{namespace}/{scaler}: {condition} is {status} ({reason}) {message}"),
    "scaler.hindered": ("⚠️ ", "{namespace}/{scaler}: {error}"),
    "scaler.stumbled": ("❌", "{namespace}/{scaler}: could not be seen to, and is tried again: {error}"),
    "budget.unreported": ("  ", "{budget}: its status could not be written: {error}"),
    "event.lost": ("  ", "{namespace}/{name}: the event {reason} could not be posted: {error}"),
    "metrics_api.listening": ("📊", "external metrics on port {port}"),
    "metrics_api.state": ("📊", "external metrics are {state}: {message}"),
    "metrics_api.uncertain": ("⚠️ ", "how external metrics are registered is not known: {error}"),
    "metrics_api.broken": ("❌", "external metrics: {error}"),
    "api_service.published": ("✅", "the API server knows whom to trust for external metrics"),
    "api_service.removed": ("🗑️ ", "external metrics are no longer registered"),
    "certificate.made": ("✅", "certificate {name} made ({reason}), valid until {valid_until}"),
    "certificate.broken": ("⚠️ ", "certificate {name} is no good and is made anew: {error}"),
    "front_proxy.known": ("✅", "the API server asks as {names}"),
    "front_proxy.changed": ("🔄", "the API server asks as {names} now"),
    "front_proxy.unknown": ("⚠️ ", "as whom the API server asks is not known: {error}"),
}
