"""The data files of this feature. They are dated, and say where each number is from. Pure: they are part of the code."""

from __future__ import annotations

import functools
import pkgutil
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict


class StrictModel(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


@functools.cache
def read(name: str) -> Any:
    """The content of data/NAME.yaml."""
    text = pkgutil.get_data(__package__, f"data/{name}.yaml")
    assert text is not None, f"there is no data/{name}.yaml"
    return yaml.safe_load(text)
