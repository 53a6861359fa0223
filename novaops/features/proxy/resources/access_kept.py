"""What flags alone must not do: open a site, take away whom it lets in, or what protects it. By flags one adds."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from novaops.errors import Refused
from novaops.facts.file import FileAt, text_at
from novaops.formats import names
from novaops.formats.nginx_conf import NginxConf
from novaops.model.plan import Resource, Step
from novaops.model.question import Facts, Question
from novaops.secret import Secret
from novaops.shell import lines_of

_OPENS = "--auth off says that it is to be open"

Names = Callable[[str], tuple[str, ...]]
"""Reads the names of a file's users."""


@dataclass(frozen=True)
class AccessKept(Resource):
    """Of a site that flags describe. An inventory is the whole wish: what is not in it is not wanted."""

    name: str
    file: str
    """The site's file."""
    asks: bool
    """Whether the site is to ask who somebody is, as one of an API does anyway."""
    networks: tuple[str, ...] = ()
    """Those that it is to be for; none for all."""
    pages: tuple[str, ...] = ()
    """The web pages whose scripts may use it."""
    without: tuple[str, ...] = ()
    """What is taken away in so many words: users, networks, pages."""
    people: tuple[tuple[str, Names], ...] = ()
    """Files of users that the site is to have none of."""
    known: tuple[tuple[str, Names], ...] = ()
    """Files whose users stay, but for those that are taken away."""
    says_tls: bool = True
    """Whether somebody has said if it is to speak TLS. One that nothing is said of speaks none."""
    limited: bool = True
    """Whether clients are to have a limit, or can have none."""
    unnamed: tuple[str, Secret] | None = None
    """The file of tokens, and the line in it of the one client that nobody has named."""

    @property
    def id(self) -> str:
        return f"access:{self.name}"

    def questions(self) -> Iterable[Question[Any]]:
        yield from map(FileAt, (self.file, *(file for file, _ in (*self.people, *self.known)), *(self.unnamed or ())[:1]))

    def plan(self, facts: Facts) -> Iterable[Step]:
        text = text_at(self.file, facts)
        for refusal in (
            *self._opened(text),
            *self._lost(text),
            *self._people_lost(facts),
            *self._token_lost(facts),
            *self._unprotected(text),
        ):
            raise refusal
        return ()

    def notes(self, facts: Facts) -> Iterable[str]:
        """Who is taken away and is not there. The host cannot tell a mistyped name from one that was taken away before."""
        text = text_at(self.file, facts)
        users = (user for file, read in (*self.people, *self.known) for user in read(text_at(file, facts)))
        there = dict.fromkeys((*users, *networks_of(text), *pages_of(text)))
        for each in self.without:
            if not spellings(each) & {*there}:
                yield f"--remove-user: {each} is not among those whom it lets in: {', '.join(there) or 'nobody'}"

    @property
    def _gone(self) -> set[str]:
        return {spelling for each in self.without for spelling in spellings(each)}

    def _opened(self, text: str) -> Iterator[Refused]:
        if not self.asks and re.search(r"^\s*auth_basic_user_file ", text, re.MULTILINE):
            yield Refused(
                f"{self.name}: it asks for passwords today, and would be open to everybody",
                fix=f"--user NAME --password SOURCE keeps it closed; {_OPENS}",
            )
        networks = networks_of(text)
        if networks and not self.networks and not (self.asks and {*networks} <= self._gone):
            fix = f"--remove-user {','.join(networks)} opens it to whoever it knows" if self.asks else _OPENS
            yield Refused(
                f"{self.name}: only {', '.join(networks)} may use it today, and it would be open to others",
                fix=f"--from {','.join(networks)} keeps it so; {fix}",
            )

    def _lost(self, text: str) -> Iterator[Refused]:
        for flag, there, wanted in (("from", networks_of(text), self.networks), ("cors", pages_of(text), self.pages)):
            if lost := [each for each in there if each not in {*wanted, *self._gone}]:
                yield self._refused(lost, f"--{flag} {','.join((*there, *(each for each in wanted if each not in there)))}")

    def _unprotected(self, text: str) -> Iterator[Refused]:
        if not self.says_tls and re.search(r"^\s*ssl_certificate ", text, re.MULTILINE):
            yield Refused(
                f"{self.name}: it speaks TLS today, and would not any more", fix="--tls KIND keeps it; --tls off says that it goes"
            )
        if (limit := limit_of(text)) and not self.limited:
            yield Refused(
                f"{self.name}: a client may make {limit} requests today, and could make any number",
                fix=f"--rate {limit} keeps that, --rate N/min sets another limit; an entry of the inventory without limit: takes it away",
            )

    def _people_lost(self, facts: Facts) -> Iterator[Refused]:
        for file, read in self.people:
            if lost := [each for each in dict.fromkeys(read(text_at(file, facts))) if each not in self.without]:
                yield self._refused(lost, "the way in which they show who they are (--password, --key, --token)")

    def _token_lost(self, facts: Facts) -> Iterator[Refused]:
        """One token for all is of a client that has no name of its own. A second one would take the place of the first."""
        if self.unnamed is None:
            return
        file, line = self.unnamed
        who = line.reveal().rpartition(" ")[2]
        there = [each for each in lines_of(text_at(file, facts)) if each.rpartition(" ")[2] == who]
        client = who.strip('";')
        if client not in self.without and any(each != line.reveal() for each in there):
            yield Refused(
                f"{self.name}: {client} has another token today, which would count no more",
                fix=f"--user NAME --token SOURCE adds one; --remove-user {client} takes the old one away",
            )

    def _refused(self, lost: list[str], keeps: str) -> Refused:
        what = f"{self.name}: {', '.join(lost)} may use it today, and could not any more"
        return Refused(what, fix=f"{keeps} keeps that; --remove-user {','.join(lost)} takes it away")


def spellings(word: str) -> set[str]:
    """The word, and the form that a site's file has of it: 192.0.2.7 is 192.0.2.7/32 there, https://a.example:443 is https://a.example."""
    found = {word, re.sub(r"^(?:(http:.+):80|(https:.+):443)$", r"\1\2", word)}
    with suppress(ValueError):
        found.add(names.network(word))
    return found


def networks_of(text: str) -> tuple[str, ...]:
    """Those that a site's file is for."""
    return tuple(each for each in dict.fromkeys(re.findall(r"^\s*allow (\S+);", text, re.MULTILINE)) if each != "all")


def limit_of(text: str) -> str:
    """How many requests each client may make, as the section says it; "" for any number."""
    found = re.search(r"^limit_req_zone \S+ zone=\S+ rate=([0-9]+)r/([sm]);", text, re.MULTILINE)
    return f"{found[1]}/{found[2].replace('m', 'min')}" if found else ""


def pages_of(text: str) -> tuple[str, ...]:
    """The web pages whose scripts may use it."""
    found = re.findall(r'^\s*"~\^(\S+)\\z" \$http_origin;', text, re.MULTILINE)
    return tuple(bytes.fromhex(re.sub(r"\\x(..)|(.)", lambda one: one[1] or f"{ord(one[2]):02x}", each)).decode() for each in found)


def reached_by(text: str) -> tuple[str, ...]:
    """From where, by scripts of which pages, and under which names a site can be used."""
    served = dict.fromkeys(name for server in NginxConf({"": f"http {{ {text} }}"}).servers() for name in server.names)
    return (
        *(f"from {each}" for each in networks_of(text)),
        *(f"scripts of {each}" for each in pages_of(text)),
        *(f"as {n}" for n in served),
    )
