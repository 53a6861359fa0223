"""Root file systems: builds the image of a recipe into a directory of the cache, once, by one process, atomically."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from novaops.errors import NovaopsError
from novaops.lab.initrd import archive, boot_entries
from novaops.lab.requirements import SYSTEM_PATH, program

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from novaops.lab.recipe import Recipe

_PRUNED = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/info/*", "/usr/share/locale/[!f]*", "/usr/share/locale/f[!r]*")


@dataclass(frozen=True)
class Image:
    """A built root file system. A container's is the tree `root`; a VM's is `root.ext4`, `vmlinuz`, `initrd`."""

    directory: Path

    @property
    def tree(self) -> Path:
        return self.directory / "root"

    @property
    def disk(self) -> Path:
        return self.directory / "root.ext4"

    @property
    def kernel(self) -> Path:
        return self.directory / "vmlinuz"

    @property
    def initrd(self) -> Path:
        return self.directory / "initrd"


def cache_directory() -> Path:
    """Where images are kept: `${XDG_CACHE_HOME:-~/.cache}/novaops/lab`."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "novaops" / "lab"


def image_for(recipe: Recipe, on_progress: Callable[[str], None], cache: Path | None = None) -> Image:
    """The image of a recipe, from the cache or built now (about a minute); raises NovaopsError with mmdebstrap's words.

    Two processes that want the same image build it once: the second waits for the first.
    """
    cache = cache or cache_directory()
    cache.mkdir(parents=True, exist_ok=True)
    final = cache / recipe.name
    with _locked(cache / f"{recipe.name}.lock", lambda: on_progress("waiting for another process to build the image")):
        if not final.exists():
            on_progress(f"building the {recipe.release} image ({recipe.kind}), about a minute, once")
            # /var/tmp, not the cache: an unprivileged build runs under another uid, to which a home is closed
            scratch = Path(tempfile.mkdtemp(prefix="novaops-lab-", dir="/var/tmp"))
            try:
                _build(recipe, scratch, final, on_progress)
            finally:
                shutil.rmtree(scratch, ignore_errors=True)
                shutil.rmtree(_partial(final), ignore_errors=True)
    return Image(final)


def _build(recipe: Recipe, scratch: Path, final: Path, on_progress: Callable[[str], None]) -> None:
    scratch.chmod(0o777)
    partial = _partial(final)
    _clear(partial)
    partial.mkdir()
    for path, content in recipe.files.items():
        file = scratch / "files" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
    (scratch / "sources").write_text(recipe.sources)
    _mmdebstrap(recipe, scratch, partial, on_progress)
    if recipe.kind == "vm":
        image = Image(partial)
        image.initrd.write_bytes(archive(boot_entries(recipe.init, (scratch / "busybox").read_bytes(), scratch / "modules")))
        shutil.copyfile(scratch / "vmlinuz", image.kernel)
        # Copied by cp because it keeps the holes: 8 GB of which half a gigabyte is there.
        subprocess.run(["cp", "--sparse=always", scratch / "root.ext4", image.disk], check=True)
    partial.rename(final)


def _clear(partial: Path) -> None:
    """Remove what a build left that was killed, with the file systems that it had mounted there."""
    mounted = (line.split()[1] for line in Path("/proc/self/mounts").read_text("utf-8", "surrogateescape").splitlines())
    for place in sorted((place for place in mounted if place.startswith(f"{partial}/")), reverse=True):
        subprocess.run([program("umount"), place], check=False, capture_output=True)
    shutil.rmtree(partial, ignore_errors=True)


def _partial(final: Path) -> Path:
    return final.with_name(final.name + ".partial")


def _mmdebstrap(recipe: Recipe, scratch: Path, target: Path, on_progress: Callable[[str], None]) -> None:
    command = [
        program("mmdebstrap"),
        "--variant=minbase",
        f"--mode={'root' if os.geteuid() == 0 else 'unshare'}",
        f"--format={'null' if recipe.kind == 'vm' else 'directory'}",
        f"--include={','.join(recipe.packages)}",
        '--aptopt=Acquire::Languages "none"',
        '--aptopt=APT::Install-Recommends "false"',
        "--dpkgopt=force-unsafe-io",
        *(f"--dpkgopt=path-exclude={pattern}" for pattern in _PRUNED),
        *(f"--customize-hook={hook}" for hook in recipe.commands),
        recipe.release,
        "-" if recipe.kind == "vm" else str(target / "root"),
        str(scratch / "sources"),
    ]
    # INITRD=No: Debian's kernel package makes no initrd, which takes half a minute; a VM of the lab boots with its own.
    environment = {"PATH": SYSTEM_PATH, "LC_ALL": "C.UTF-8", "HOME": "/", "SCRATCH": str(scratch), "INITRD": "No"}
    said: list[str] = []
    told = ""
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None  # asked for one line above
        try:
            for line in process.stderr:
                said.append(line.strip())
                doing = "setting it up" if "--customize-hook" in line else line.removeprefix("I: ").strip()
                if line.startswith("I: ") and doing != told:
                    told = doing
                    on_progress(doing)
        except KeyboardInterrupt:
            process.terminate()
            process.stderr.read()  # it unmounts, and tells: with nobody to read that it would end before it is done
            raise
    if process.returncode != 0:
        raise NovaopsError(
            f"the {recipe.release} image could not be built: mmdebstrap ended with status {process.returncode}",
            why="\n".join(said[-12:]),
        )


@contextmanager
def _locked(path: Path, on_wait: Callable[[], None]) -> Iterator[None]:
    """Hold a file's lock, which the kernel lets go when the process ends, however it ends."""
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            on_wait()
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
