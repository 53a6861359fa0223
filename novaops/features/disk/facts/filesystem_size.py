"""How large a mounted file system is, and how large it could be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

from novaops.model.question import Missing, Question, Section
from novaops.shell import join

TABLE_END = 2 * 1_048_576
"""Bytes left free at a disk's end: GPT keeps its copy there, and partitions end on a whole MiB."""


@dataclass(frozen=True)
class FreeSpace:
    """All sizes are bytes."""

    filesystem: str
    source: str
    """The device it is on."""
    size: int
    unit: int
    """The least by which it grows: a block group; less than that is no difference."""
    device_size: int
    disk: str = ""
    """The disk of the partition it is on; "" when it is on a whole disk."""
    partition: int = 0
    """The partition's number."""
    behind: int = 0
    """Free behind the partition; 0 when another one follows."""


@dataclass(frozen=True)
class FilesystemSize(Question[FreeSpace]):
    """ABSENT when nothing is mounted at `path`. Asking makes the kernel look again how large a SCSI disk is."""

    path: str
    family: ClassVar[str] = "filesystem-size"

    @classmethod
    def script(cls, questions: Sequence[Self]) -> str:
        return f"""\
for path in {join(q.path for q in questions)}; do
  real=$(readlink -m -- "$path")
  kind=$(findmnt -n -o FSTYPE --mountpoint "$real") || {{ echo absent; continue; }}
  source=$(findmnt -n -o SOURCE --mountpoint "$real" | sed 's/\\[.*//'); source=$(readlink -f -- "$source")
  block=/sys/class/block/${{source##*/}}; disk= number=0 behind=0
  if [ -e "$block/partition" ]; then disk=$(lsblk -d -n -p -o PKNAME -- "$source"); fi
  rescan=/sys/class/block/$(basename "${{disk:-$source}}")/device/rescan
  [ ! -w "$rescan" ] || echo 1 >"$rescan"
  if [ -n "$disk" ]; then
    number=$(cat "$block/partition"); end=$(( $(cat "$block/start") + $(cat "$block/size") ))
    behind=$(( $(cat "/sys/class/block/${{disk##*/}}/size") - end ))
    for other in "/sys/class/block/${{disk##*/}}/"*/start; do [ "$(cat "$other")" -lt $end ] || behind=0; done
  fi
  case $kind in
    ext*) sizes=$(dumpe2fs -h "$source" 2>/dev/null | awk -F: '/^Block count/ {{ n = $2 }} /^Block size/ {{ b = $2 }} /^Blocks per group/ {{ g = $2 }}
      END {{ printf "%.0f\\t%.0f", n * b, g * b }}') ;;
    xfs) sizes=$(xfs_info "$real" | tr ',' ' ' | awk '/^data/ {{ for (i = 1; i <= NF; i++) {{ split($i, kv, "="); if (kv[1] == "bsize") b = kv[2];
      if (kv[1] == "blocks") n = kv[2] }} }} END {{ printf "%.0f\\t%.0f", n * b, 16777216 }}') ;;
    btrfs) sizes=$(btrfs filesystem show --raw "$real" | awk '/devid/ {{ s += $4 }} END {{ printf "%.0f\\t%.0f", s, 16777216 }}') ;;
    *) sizes= ;;
  esac
  printf 'room\\t%s\\t%s\\t%s\\t%s\\t%s\\t%s\\t%s\\n' "$kind" "$source" "$sizes" "$(blockdev --getsize64 "$source")" "$disk" "$number" "$((behind * 512))"
done
"""

    @classmethod
    def parse(cls, questions: Sequence[Self], section: Section) -> Mapping[Self, FreeSpace | Missing]:
        answers: dict[Self, FreeSpace | Missing] = {}
        for question, line in zip(questions, section.stdout.splitlines(), strict=False):
            match line.split("\t"):
                case ["absent"]:
                    answers[question] = Missing.ABSENT
                case ["room", kind, source, "", device_size, disk, number, behind]:
                    answers[question] = FreeSpace(kind, source, 0, 0, int(device_size), disk, int(number), int(behind))
                case ["room", kind, source, size, unit, device_size, disk, number, behind] if int(size):
                    numbers = (int(size), int(unit), int(device_size))
                    answers[question] = FreeSpace(kind, source, *numbers, disk, int(number), int(behind))
                case _:
                    answers[question] = Missing.UNKNOWN
        return answers
