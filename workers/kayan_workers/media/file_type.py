"""What the web app takes an uploaded file for."""

from __future__ import annotations

from enum import StrEnum


class FileType(StrEnum):
    """The web app's ``AssetType``, which it derives from the MIME type that the browser claims."""

    IMAGE = "IMAGE"
    VIDEO = "VIDEO"
    AUDIO = "AUDIO"
    DOCUMENT = "DOCUMENT"
    MODEL_3D = "MODEL_3D"
    DESIGN = "DESIGN"
    OTHER = "OTHER"
