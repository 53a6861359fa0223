"""novaops eve: EVE-NG, from the question whether a host can run it to a lab that answers. `check` and `status` are here."""

from __future__ import annotations

import typer

from novaops.features.eve import cli_image, cli_install, cli_lab

app = typer.Typer(help="EVE-NG: check, install, status, images, labs.", no_args_is_help=True, rich_markup_mode=None)

for module in (cli_install, cli_image, cli_lab):
    module.register(app)
