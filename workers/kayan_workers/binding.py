"""Binds a role's processor to the consumer: the payload's JSON becomes a typed value, the edges are handed in.

A payload that is not what its type says fails its job at once and for good, and the error names the field.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from kayan_workers.errors import PermanentError

if TYPE_CHECKING:
    from kayan_workers.edges import Edges
    from kayan_workers.processors.handle import JobHandle
    from kayan_workers.processors.table import Role

Decode = Callable[["RawJob"], Any]


class RawJob(Protocol):
    """What binding reads of a job; the consumer's running job has it."""

    queue: str
    id: str
    raw_data: bytes


def bound(role: Role, edges: Edges) -> Callable[[Any], Any]:
    """The handler of a role: a plain function of one running job, or of a list of them for a batch role.

    Raises ImportError or AttributeError when the role's module is not what the table promises.
    """
    module = importlib.import_module(role.module)
    decode = _decoder(module.Payload)
    if role.batch > 1:
        return _batch(module.process_batch, decode, edges)
    return _single(module.process, decode, edges)


def _single(process: Callable[[Any, JobHandle, Edges], Any], decode: Decode, edges: Edges) -> Callable[[Any], Any]:
    def handle(job: Any) -> Any:
        return process(decode(job), job, edges)

    return handle


def _batch(
    process: Callable[[Sequence[tuple[Any, JobHandle]], Edges], Sequence[Any]], decode: Decode, edges: Edges
) -> Callable[[Sequence[Any]], list[Any]]:
    def handle(jobs: Sequence[Any]) -> list[Any]:
        """One entry per job, in order: its return value, or the exception it alone deserves."""
        results: list[Any] = [None] * len(jobs)
        work, places = [], []
        for place, job in enumerate(jobs):
            try:
                work.append((decode(job), job))
                places.append(place)
            except PermanentError as error:
                results[place] = error
        found = process(work, edges) if work else []
        for place, result in zip(places, found, strict=True):
            results[place] = result
        return results

    return handle


def _decoder(payload: type[Any]) -> Decode:
    decode = msgspec.json.Decoder(payload).decode

    def typed(job: RawJob) -> Any:
        try:
            return decode(job.raw_data)
        except msgspec.ValidationError as error:
            raise PermanentError(f"{job.queue} job {job.id}: malformed payload: {_field_first(str(error))}") from None
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise PermanentError(f"{job.queue} job {job.id}: its data is not JSON: {error}") from None

    return typed


def _field_first(message: str) -> str:
    """msgspec's ``Expected `str`, got `int` - at `$.variants[0]``` with the field in front."""
    said, separator, path = message.rpartition(" - at ")
    return f"{path.strip('`')}: {said}" if separator else message
