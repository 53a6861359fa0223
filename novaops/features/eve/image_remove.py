"""`eve image rm`: an image that no lab uses is deleted."""

from __future__ import annotations

from novaops.engine.report import HostReport, ReportLine
from novaops.errors import HostFailed, Refused, UsageError
from novaops.features.eve import paths
from novaops.features.eve.image_names import FOLDERS, LICENCE, Kind, data
from novaops.formats.size import human
from novaops.model.plan import Change
from novaops.shell import assign, lines_of, sh_file, whole
from novaops.ssh.session import Session


def kind_of(name: str) -> Kind:
    """By the form of its name. Raises UsageError for what cannot be one."""
    if not name or "/" in name or name.startswith("."):
        raise UsageError(f'"{name}" cannot be an image', fix="novaops eve image ls HOST lists them")
    if name == LICENCE or name.endswith(".bin"):
        return "iol"
    dynamips = name.endswith(".image") and name.partition("-")[0] in data().dynamips
    return "dynamips" if dynamips else "qemu"


def remove(session: Session, name: str, *, check: bool) -> HostReport:
    """Raises Refused where a lab names it."""
    values = assign(addons=paths.ADDONS, labs=paths.LABS, folder=FOLDERS[kind_of(name)], name=name, check="yes" if check else "")
    done = session.run(whole(values + sh_file(__package__, "image_remove.sh")))
    if done.status:
        raise HostFailed(f"the image {name} was not removed", why=done.stderr.strip())
    lines = lines_of(done.stdout)
    resource = f"image:{name}"
    if lines == ["absent"]:
        return HostReport(session.target.name, "unchanged", (ReportLine(resource, "unchanged"),))
    if labs := [line.removeprefix("lab ").removeprefix(paths.LABS) for line in lines if line.startswith("lab ")]:
        raise Refused(
            f"labs use the image {name}: {', '.join(labs)}", why="Their nodes could not start without it.", fix="delete the labs first"
        )
    status = "would_change" if check else "changed"
    size = human(int(lines[-1].removeprefix("bytes ")))
    line = ReportLine(resource, status, (Change("image", size, None),), cannot_undo="the image is deleted")
    return HostReport(session.target.name, status, (line,))  # type: ignore[arg-type] # one of the two
