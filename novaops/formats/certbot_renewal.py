"""Certbot's own file of how a certificate is renewed, /etc/letsencrypt/renewal/*.conf, changed line by line. Pure: text in, text out."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from novaops.shell import whole_lines

_SECTION = re.compile(r"\s*(\[+)\s*(.*?)\s*\]+\s*(?:#.*)?")
_SETTING = re.compile(r"\s*(?P<key>[^\s#=\[][^=]*?)\s*=\s*(?P<value>.*?)\s*")

_PARAMETERS = "renewalparams"
_MAP = "webroot_map"
_HOOK = "renew_hook"
_RENEWS = "autorenew"
_TRUE = frozenset({"true", "yes", "on", "1"})


@dataclass(frozen=True)
class RenewalConf:
    text: str

    def value(self, key: str) -> str | None:
        """A parameter; of a list its first member, which is all that webroot_path has. None where it is not set."""
        return dict(self._settings(_PARAMETERS)).get(key)

    @property
    def webroots(self) -> dict[str, str]:
        """By domain."""
        return dict(self._settings(_MAP))

    def but(self, hook: str, webroot: str, domains: Iterable[str]) -> RenewalConf:
        """The same, renewed, by webroot and with the hook. Lines that are right already stay as they are written."""
        domains = list(domains)
        wanted = {"authenticator": "webroot", _HOOK: hook}
        lines = list(self._without(wanted, dict.fromkeys(domains, webroot)))
        missing = [f"{key} = {quoted(value)}\n" for key, value in wanted.items() if self.value(key) != value]
        kept = self._kept(dict.fromkeys(domains, webroot))
        # certbot writes no webroot for a name that the authority had validated before, and uses webroot_path for it.
        mapped = kept if self.value("webroot_path") != webroot else {*kept, *(domain for domain in domains if domain not in self.webroots)}
        missing_webroots = [f"{domain} = {quoted(webroot)}\n" for domain in domains if domain not in mapped]
        return RenewalConf("".join(_put(_put(lines, f"[{_PARAMETERS}]", missing), f"[[{_MAP}]]", missing_webroots)))

    def differences(self, before: RenewalConf) -> list[tuple[str, str | None, str | None]]:
        """The values that differ from `before`, as (field, before, after)."""
        pairs = [
            (f"renewal: {key}", before.value(key), self.value(key))
            for key in (_RENEWS, "authenticator", "installer", "webroot_path", _HOOK)
        ]
        known = dict.fromkeys((*before.webroots, *self.webroots))
        pairs += [(f"renewal: webroot of {name}", before.webroots.get(name), self.webroots.get(name)) for name in known]
        return [pair for pair in pairs if pair[1] != pair[2]]

    def _lines(self) -> Iterator[tuple[str, str, str, str]]:
        """Each line with its section, and for a setting its key and value."""
        section = ""
        for line in whole_lines(self.text):
            if found := _SECTION.fullmatch(line.rstrip("\r\n")):
                section = found[2]
                yield line, "", "", ""
            elif setting := _SETTING.fullmatch(line.rstrip("\r\n")):
                yield line, section, setting["key"], unquoted(setting["value"])
            else:
                yield line, "", "", ""

    def _settings(self, wanted: str) -> Iterator[tuple[str, str]]:
        return ((key, value) for _, section, key, value in self._lines() if section == wanted)

    def _kept(self, webroots: dict[str, str]) -> set[str]:
        return {domain for domain, path in self.webroots.items() if webroots.get(domain) == path}

    def _without(self, wanted: dict[str, str], webroots: dict[str, str]) -> Iterator[str]:
        """The lines without those that contradict what is wanted. A webroot_path would apply to domains that the map leaves out."""
        kept = self._kept(webroots)
        for line, section, key, value in self._lines():
            paths = set(webroots.values())
            contrary = {"installer": True, _RENEWS: value.lower() not in _TRUE, "webroot_path": value not in paths}
            other = contrary.get(key, key in wanted and wanted[key] != value)
            if not (section == _PARAMETERS and other) and not (section == _MAP and key not in kept):
                yield line


def _put(lines: list[str], section: str, more: list[str]) -> list[str]:
    """Insert lines after a section's heading, which is added at the end where it is missing."""
    if not more:
        return lines
    for number, line in enumerate(lines):
        if "".join(line.split()) == section:
            return [*lines[: number + 1], *more, *lines[number + 1 :]]
    ended = lines[:-1] + [f"{line}\n" if not line.endswith("\n") else line for line in lines[-1:]]
    return [*ended, f"{section}\n", *more]


def quoted(value: str) -> str:
    """As ConfigObj writes it. Raises ValueError for a value that it could not read back from one line."""
    if "'" in value and '"' in value:
        marks = [mark for mark in ("'''", '"""') if mark not in value]
    elif value and value[0] not in " \t'\"" and value[-1] not in " \t'\"" and not {",", "#"} & set(value):
        marks = [""]
    else:
        marks = ["'" if '"' in value else '"']
    if "\n" in value or not marks:
        raise ValueError(f"certbot keeps no such value on one line: {value}")
    return f"{marks[0]}{value}{marks[0]}"


def unquoted(text: str) -> str:
    """The value as ConfigObj reads it, of a list the first member."""
    for mark in ("'''", '"""'):
        if text.startswith(mark) and (end := text.rindex(mark)) >= len(mark):
            return text[len(mark) : end]
    for mark in ("'", '"'):
        if text.startswith(mark) and mark in text[1:]:
            return text[1 : text.index(mark, 1)]
    return re.split(r"\s*(?:,|\s#)", text, maxsplit=1)[0]
