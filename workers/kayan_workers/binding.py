"""Binds a role's processor to the consumer: the payload's JSON becomes a typed value, the edges are handed in.

A payload that is not what its type says fails its job at once and for good, and the error names the field.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import inspect
import json
import os
import re
import sys
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NoReturn, Protocol

import msgspec

from kayan_workers.errors import PermanentError
from kayan_workers.processors.table import CODECS, DATABASE, MAIL, STORAGE

if TYPE_CHECKING:
    from kayan_workers.edges import Edges
    from kayan_workers.processors.handle import JobHandle
    from kayan_workers.processors.table import Role

EDGES = {DATABASE: "database", STORAGE: "storage", MAIL: "mailer", CODECS: "codecs"}
"""What a role needs, as the attribute of Edges."""

Decode = Callable[["RawJob"], Any]


class RawJob(Protocol):
    """What binding reads of a job; the consumer's running job has it."""

    queue: str
    id: str

    @property
    def raw_data(self) -> bytes: ...


class Processors:
    """The processors of the chosen roles, loaded together by the first job, so that an idle worker stays small.

    Together and by one thread: Python's import locks refuse circular imports that several threads begin at once, and the big
    libraries have many. ``Rehearsal`` finds out beforehand whether they can be loaded.
    """

    def __init__(self, roles: Sequence[Role], edges: Edges) -> None:
        self._roles = roles
        self._edges = edges
        self._lock = threading.Lock()
        self._loaded: dict[str, Callable[[Any], Any]] = {}

    def handler(self, role: Role) -> Callable[[Any], Any]:
        """The handler of a role: a plain function of one running job, or of a list of them for a batch role."""

        def handle(work: Any) -> Any:
            return self._processor(role)(work)

        return handle

    def given_up(self, role: Role) -> Callable[[RawJob], None] | None:
        """What the role's processor does for a job that was given up without it; None when there is nothing to do. May take seconds."""
        self._processor(role)
        module = sys.modules[role.module]
        tell = getattr(module, "given_up", None)
        if tell is None:
            return None
        decode = _decoder(module.Payload)
        return lambda job: tell(decode(job), self._edges)

    def _processor(self, role: Role) -> Callable[[Any], Any]:
        if role.name not in self._loaded:
            with self._lock:
                if role.name not in self._loaded:
                    self._load()
        return self._loaded[role.name]

    def _load(self) -> None:
        loaded = {role.name: _bound(role, self._edges) for role in self._roles}
        for need in sorted({need for role in self._roles for need in role.needs}):
            with contextlib.suppress(Exception):  # the processor that uses it will hear of it, and nobody else need
                getattr(self._edges, EDGES[need])
        self._loaded = loaded


def _bound(role: Role, edges: Edges) -> Callable[[Any], Any]:
    module = importlib.import_module(role.module)
    decode = _decoder(module.Payload)
    if role.batch > 1:
        return _batch(module.process_batch, decode, edges)
    return _single(module.process, decode, edges)


class Rehearsal:
    """Loads every role's processor in a child process, which then ends: what is not installed is found before the first job.

    The child's memory goes with it. Make one before any thread is started.
    """

    def __init__(self, roles: Sequence[Role]) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        self._report, child_end = os.pipe()
        self._child = os.fork()
        if self._child == 0:
            _rehearse(roles, child_end)
        os.close(child_end)

    def problems(self) -> list[str]:
        """What cannot be loaded and what would help. Waits for the child."""
        with os.fdopen(self._report, "rb") as report:
            said = report.read().decode()
        _, status = os.waitpid(self._child, 0)
        if said:
            return said.splitlines()
        return [f"loading the processors ended with status {status}; try `kayan check`"] if status else []


def _rehearse(roles: Sequence[Role], to: int) -> NoReturn:
    problems = []
    for role in roles:
        try:
            module = importlib.import_module(role.module)
            _decoder(module.Payload)
            _ = module.process_batch if role.batch > 1 else module.process
            if CODECS in role.needs:
                importlib.import_module("kayan_workers.codecs.inmate")
        except Exception as error:
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            problems.append(f"role {role.name}: {role.module} cannot be loaded ({reason}). Install kayan-workers[{role.family}]")
    os.write(to, "\n".join(problems).encode())
    os._exit(0)


def _single(process: Callable[[Any, JobHandle, Edges], Any], decode: Decode, edges: Edges) -> Callable[[Any], Any]:
    is_async = inspect.iscoroutinefunction(process)

    def handle(job: Any) -> Any:
        result = process(decode(job), job, edges)
        return asyncio.run(result) if is_async else result  # a loop of its own, in the job's thread

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


def _with_whole_characters(data: bytes) -> bytes:
    """JSON with U+FFFD for each half of a surrogate pair, as JavaScript itself has it when it writes UTF-8.

    JavaScript cuts texts between the halves of an emoji and writes what is left as an escape, which a strict reader refuses.
    """
    text = json.dumps(json.loads(data), ensure_ascii=False)
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace").encode()


def complaint(error: msgspec.ValidationError, payload: type[Any]) -> str:
    """What is wrong with a payload: the field, and why. Its values are not repeated; a word that is on no list is answered with the list.

    msgspec's own words are ``Expected `str`, got `int` - at `$.variants[0]```.
    """
    said, separator, path = str(error).rpartition(" - at ")
    if not separator:
        return str(error)
    path = path.strip("`")
    if found := re.match(r"Invalid (?:enum )?value ", said):
        known = _known_values(payload, path)
        said = found[0].strip() + (f"; known are {', '.join(map(str, known))}" if known else "")
    return f"{path}: {said}"


def _known_values(payload: type[Any], path: str) -> list[Any]:
    """The values that the field at a path may have; empty when its type has no list of them."""
    types = [msgspec.inspect.type_info(payload)]
    for name, _index in re.findall(r"\.(\w+)|(\[[^]]*\])", path):
        types = [inner for kind in types for inner in _inside(kind, name)]
    found = (getattr(kind, "values", None) or [member.value for member in getattr(kind, "cls", ())] for kind in types if _is_list(kind))
    return [value for values in found for value in values]


def _is_list(kind: msgspec.inspect.Type) -> bool:
    return isinstance(kind, msgspec.inspect.EnumType | msgspec.inspect.LiteralType)


def _inside(kind: msgspec.inspect.Type, name: str) -> list[msgspec.inspect.Type]:
    """The types of a struct's field, or of the entries of a list when ``name`` is empty."""
    inner: list[msgspec.inspect.Type] = []
    if name and isinstance(kind, msgspec.inspect.StructType):
        inner = [field.type for field in kind.fields if field.encode_name == name]
    elif not name and isinstance(kind, msgspec.inspect.ListType):
        inner = [kind.item_type]
    elif isinstance(kind, msgspec.inspect.UnionType):
        return [found for member in kind.types for found in _inside(member, name)]
    return [member for each in inner for member in (each.types if isinstance(each, msgspec.inspect.UnionType) else (each,))]


def _decoder(payload: type[Any]) -> Decode:
    decode = msgspec.json.Decoder(payload).decode

    def typed(job: RawJob) -> Any:
        try:
            try:
                return decode(job.raw_data)
            except msgspec.DecodeError as error:
                if isinstance(error, msgspec.ValidationError) or b"\\u" not in job.raw_data:
                    raise
                return decode(_with_whole_characters(job.raw_data))
        except msgspec.ValidationError as error:
            raise PermanentError(f"{job.queue} job {job.id}: malformed payload: {complaint(error, payload)}") from None
        except RecursionError:
            raise PermanentError(f"{job.queue} job {job.id}: malformed payload: it is nested too deep to be read") from None
        except (msgspec.DecodeError, ValueError) as error:
            raise PermanentError(f"{job.queue} job {job.id}: its data is not JSON: {error}") from None

    return typed
