"""The paths of EVE-NG's API, and which of them an edition has. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote

_SUFFIX = ".unl"
_STOP_MODE = 3
"""How EVE-NG 7 stops a node: at once, as pulling the plug does. Its plain path is not there (404)."""


def lab_file(folder: str, name: str) -> str:
    """The lab's path as EVE-NG has it: /folder/name.unl."""
    return "/" + "/".join([*(part for part in folder.split("/") if part), name.removesuffix(_SUFFIX) + _SUFFIX])


def encoded(path: str) -> str:
    """The path with each segment percent-encoded.

    Raises ValueError for a segment that would lead elsewhere on the way: "." and "..", and what holds a NUL.
    """
    segments = path.strip("/").split("/")
    for segment in segments:
        if segment in {".", ".."} or "\0" in segment:
            raise ValueError(f'"{segment}" cannot be a part of a path of a lab')
    return "/" + "/".join(quote(segment, safe="") for segment in segments)


def lab(path: str, *more: str | int) -> str:
    """The API's path of a lab, or of something in it."""
    return "/".join(("/labs" + encoded(path), *map(str, more)))


@dataclass(frozen=True)
class Flavour:
    """What the version of an installed EVE-NG tells about its API: `6.2.0-4` is Community, `7.2.0-4-PRO` is EVE-NG 7 or Pro."""

    version: str

    @property
    def is_pro(self) -> bool:
        return "pro" in self.version.lower()

    @property
    def major(self) -> int:
        """0 where it cannot be told."""
        digits = self.version.partition(".")[0]
        return int(digits) if digits.isdecimal() else 0

    def stop_paths(self, lab_path: str, node: int) -> tuple[str, str]:
        """The path that stops a node, and the one to try where that is not there (404)."""
        plain = lab(lab_path, "nodes", node, "stop")
        moded = f"{plain}/stopmode={_STOP_MODE}"
        return (moded, plain) if self.is_pro else (plain, moded)
