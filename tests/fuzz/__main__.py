"""python -m tests.fuzz: the names of the targets; python -m tests.fuzz NAME [options of libFuzzer]: look for what makes one fail."""

from __future__ import annotations

import sys


def main() -> None:
    if len(sys.argv) == 1:
        from tests.fuzz.targets import TARGETS

        print("\n".join(TARGETS))
        return
    import atheris

    with atheris.instrument_imports(include=["novaops"]):
        from tests.fuzz.targets import TARGETS

    target = TARGETS[sys.argv[1]]
    atheris.Setup([sys.argv[0], *sys.argv[2:]], target)
    atheris.Fuzz()


main()
