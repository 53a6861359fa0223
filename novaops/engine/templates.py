"""Templates: jinja2 with StrictUndefined, so that a misspelt name is an error and not an empty place."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from novaops.errors import UsageError

if TYPE_CHECKING:
    import jinja2


class Templates:
    """Template folders, in the order in which they are searched."""

    def __init__(self, folders: Sequence[Path]) -> None:
        self._folders = folders

    def render(self, name: str, /, **values: object) -> str:
        """The template `name` (motd/motd.j2) with `values`. Raises UsageError for a missing template or value."""
        import jinja2

        try:
            return self._environment.get_template(name).render(values)
        except jinja2.TemplateNotFound:
            raise UsageError(f"there is no template {name}", why=f"Looked in {', '.join(map(str, self._folders))}.") from None
        except jinja2.TemplateError as error:
            raise UsageError(f"the template {name} cannot be rendered", why=str(error)) from None

    @cached_property
    def _environment(self) -> jinja2.Environment:
        """Made once: it keeps the templates that it has compiled."""
        import jinja2

        return jinja2.Environment(
            loader=jinja2.FileSystemLoader([str(folder) for folder in self._folders]),
            undefined=jinja2.StrictUndefined,
            keep_trailing_newline=True,
            trim_blocks=True,
            lstrip_blocks=True,
            autoescape=False,  # noqa: S701 - configuration files, not HTML; values are checked by type before they come here
        )
