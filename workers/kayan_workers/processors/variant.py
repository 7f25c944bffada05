"""``variant-generation``: copies of an image or a video in the sizes the app shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import msgspec

from kayan_workers import assets
from kayan_workers.assets import VariantType
from kayan_workers.errors import PermanentError
from kayan_workers.media.file_type import FileType
from kayan_workers.media.geometry import Size
from kayan_workers.media.rendition import Rendition, Transcode
from kayan_workers.objects import derived_key
from kayan_workers.processors import source as media_source
from kayan_workers.processors.orphans import taking_back
from kayan_workers.processors.source import MediaPayload, Source, blaming, fetched, in_words, is_final, stop_if_cancelled

if TYPE_CHECKING:
    from kayan_workers.edges import Edges
    from kayan_workers.processors.handle import JobHandle


@dataclass(frozen=True, slots=True)
class Recipe:
    """How one variant is made: inside ``box`` pixels, a JPEG of ``quality`` or an MP4 of ``bit_rate``."""

    box: Size
    quality: int | None = None
    bit_rate: str | None = None

    @property
    def extension(self) -> str:
        return "mp4" if self.bit_rate else "jpg"

    @property
    def format(self) -> str:
        """What ``asset_variants.format`` says."""
        return "mp4" if self.bit_rate else "jpeg"

    @property
    def content_type(self) -> str:
        return "video/mp4" if self.bit_rate else "image/jpeg"


IMAGE_RECIPES = {
    VariantType.THUMBNAIL: Recipe((200, 200), quality=80),
    VariantType.PREVIEW: Recipe((800, 600), quality=85),
    VariantType.WEB_OPTIMIZED: Recipe((1920, 1080), quality=85),
    VariantType.MOBILE: Recipe((640, 480), quality=80),
}
VIDEO_RECIPES = {
    VariantType.THUMBNAIL: Recipe((200, 200), quality=80),  # a poster: the app shows it as an image
    VariantType.PREVIEW: Recipe((1280, 720), bit_rate="1500k"),
    VariantType.WEB_OPTIMIZED: Recipe((1920, 1080), bit_rate="3000k"),
    VariantType.MOBILE: Recipe((640, 480), bit_rate="500k"),
}


class Payload(MediaPayload, kw_only=True):
    """The fields every media job carries, and the wanted variants: at least one, known by name."""

    variants: Annotated[list[VariantType], msgspec.Meta(min_length=1)]


def check(payload: Payload) -> None:
    """Raises PermanentError when the payload's key is none, or its file one of which no variants are made."""
    media_source.check(payload)
    _recipes(payload)


class Made(NamedTuple):
    """The copies there are, and why the others will never be."""

    copies: dict[VariantType, tuple[Path, Size]]
    refusal: PermanentError | None = None


def process(payload: Payload, job: JobHandle, edges: Edges) -> dict[str, str]:
    """Make all wanted variants from one decode, store them, then record them. Returns their keys by variant.

    Raises PermanentError when some cannot be made. A film that can be shown but not copied has its stills all the same.
    """
    with blaming("variants", payload):
        recipes = _recipes(payload)
        keys = {wanted: _key(payload, job, wanted, recipe) for wanted, recipe in recipes.items()}
        with taking_back(keys.values(), edges):
            with edges.database.transaction() as connection:
                assets.find(connection, payload.asset_id)
            try:
                with fetched(payload, job, edges) as source:
                    make = _videos if payload.file_type is FileType.VIDEO else _pictures
                    made = make(source, recipes, job, edges)
                    stop_if_cancelled(job)
                    rows = _store(made.copies, recipes, keys, edges)
            except BaseException as error:  # whatever ends a thread whose time is up, too
                if is_final(error, job):
                    _note_failure(payload, recipes, keys, error, job, edges)
                raise
            _record(payload, rows, {wanted: keys[wanted] for wanted in made.copies}, edges)
            if made.refusal is not None:
                missing = {wanted: recipe for wanted, recipe in recipes.items() if wanted not in made.copies}
                if is_final(made.refusal, job):
                    _note_failure(payload, missing, keys, made.refusal, job, edges)
                raise made.refusal
        return {str(wanted): key for wanted, key in keys.items()}


def _recipes(payload: Payload) -> dict[VariantType, Recipe]:
    """The wanted variants in their order, each once."""
    if payload.file_type not in (FileType.IMAGE, FileType.VIDEO):
        raise PermanentError(f"fileType {payload.file_type}: variants are made of IMAGE and VIDEO only")
    known = VIDEO_RECIPES if payload.file_type is FileType.VIDEO else IMAGE_RECIPES
    return {wanted: known[wanted] for wanted in dict.fromkeys(payload.variants)}


def _key(payload: Payload, job: JobHandle, wanted: VariantType, recipe: Recipe) -> str:
    return derived_key(
        "variants", asset_id=payload.asset_id, purpose=wanted.lower(), source_key=payload.file_key, extension=recipe.extension,
        timestamp_ms=job.timestamp_ms,
    )  # fmt: skip


def _pictures(source: Source, recipes: Mapping[VariantType, Recipe], job: JobHandle, edges: Edges) -> Made:
    wanted = _renditions(source, recipes)
    sizes = edges.codecs.picture(source.path, FileType.IMAGE, list(wanted.values()), job)
    return Made(_with_sizes(wanted, sizes))


def _videos(source: Source, recipes: Mapping[VariantType, Recipe], job: JobHandle, edges: Edges) -> Made:
    films = {w: Transcode(to=source.beside(f"{w}.mp4"), box=r.box, bit_rate=r.bit_rate) for w, r in recipes.items() if r.bit_rate}
    stills = _renditions(source, recipes)
    try:
        made = edges.codecs.films(source.path, list(films.values()), list(stills.values()), job)
    except PermanentError as refusal:
        if not (films and stills):
            raise
        return _stills_alone(source, stills, refusal, job, edges)
    return Made(_with_sizes(films, made.films) | _with_sizes(stills, made.stills))


def _stills_alone(
    source: Source, stills: Mapping[VariantType, Rendition], refusal: PermanentError, job: JobHandle, edges: Edges
) -> Made:
    """What can be shown of a film that cannot be copied. Raises ``refusal`` when that is nothing."""
    try:
        sizes = edges.codecs.films(source.path, [], list(stills.values()), job).stills
    except PermanentError:
        raise refusal from None
    says = f"{refusal.says} (made all the same: {', '.join(stills)})"
    return Made(_with_sizes(stills, sizes), PermanentError(says, refusal.remedy))


def _with_sizes(copies: Mapping[VariantType, Transcode | Rendition], sizes: Sequence[Size]) -> dict[VariantType, tuple[Path, Size]]:
    return {variant: (copy.to, size) for (variant, copy), size in zip(copies.items(), sizes, strict=True)}


def _renditions(source: Source, recipes: Mapping[VariantType, Recipe]) -> dict[VariantType, Rendition]:
    """The wanted pictures: those recipes that have a JPEG's quality."""
    return {w: Rendition(to=source.beside(f"{w}.jpg"), box=r.box, quality=r.quality) for w, r in recipes.items() if r.quality}


def _store(
    made: Mapping[VariantType, tuple[Path, Size]], recipes: Mapping[VariantType, Recipe], keys: Mapping[VariantType, str], edges: Edges
) -> list[assets.Variant]:
    rows = []
    for wanted, (path, (width, height)) in made.items():
        recipe = recipes[wanted]
        stored = edges.storage.upload(path, keys[wanted], recipe.content_type)
        rows.append(
            assets.Variant(type=wanted, stored=stored, width=width, height=height, format=recipe.format, quality=recipe.quality)
        )
    return rows


def _record(payload: Payload, rows: list[assets.Variant], keys: Mapping[VariantType, str], edges: Edges) -> None:
    """Rows last; then what they replace: objects before rows, so that a crash between them leaves something to find it by."""
    with edges.database.transaction() as connection:
        assets.hold(connection, payload.asset_id)
        for row in rows:
            assets.save_variant(connection, payload.asset_id, row)
        if VariantType.PREVIEW in keys:
            assets.set_preview(connection, payload.asset_id, keys[VariantType.PREVIEW])
        replaced = assets.superseded_variants(connection, payload.asset_id, keys)
    if replaced:
        edges.storage.delete(replaced)
        with edges.database.transaction() as connection:
            assets.remove_variants(connection, replaced)


def _note_failure(
    payload: Payload, recipes: Mapping[VariantType, Recipe], keys: Mapping[VariantType, str], error: BaseException, job: JobHandle,
    edges: Edges,
) -> None:  # fmt: skip
    """Tell the app which variants will not come. Trouble in telling it never hides the error itself."""
    try:
        with edges.database.transaction() as connection:
            for wanted, recipe in recipes.items():
                assets.fail_variant(connection, payload.asset_id, wanted, keys[wanted], recipe.format, in_words(error, job))
    except Exception as trouble:
        error.add_note(f"and the failure could not be recorded: {trouble}")
