"""KEDA 2.21.0 as it was measured on a cluster of the same kind (one node, two cores, Kubernetes 1.34.4). It does not run here.

Times of scaling are those until the last of so many replicas was asked for; its ``first pod`` is its number's change from 0 to 1.
"""

from __future__ import annotations

NAME = "KEDA 2.21, measured"

FIRST_POD_P50_MS, FIRST_POD_P95_MS = 14_000.0, 28_300.0
FIRST_POD_TUNED_P50_MS, FIRST_POD_TUNED_P95_MS = 430.0, 970.0
"""With ``pollingInterval: 1``."""

HUNDRED_PODS_MS = 95_600.0
"""0 to 100 by 1, 4, 8, 16, 32, 64, 100."""
HUNDRED_PODS_WRITES = 7.0
HUNDRED_PODS_TUNED_MS = 10_500.0
"""With polling every second, and the HPA's limits of scaling up opened."""

CONNECTIONS_OF_100 = 100.0
"""Of Redis, while 100 ScaledObjects are idle."""
START_SECONDS_OF_100 = (48.0, 250.0 / 5)
"""From creating 100 of them, or a hundred of 500, until all are ready."""
