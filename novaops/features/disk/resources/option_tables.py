"""The options that a remount changes, by the kind of file system, with their defaults: what mount(8), ext4(5), xfs(5) and btrfs(5) say of them."""

from __future__ import annotations

from dataclasses import dataclass


def is_word(option: str, word: str) -> bool:
    """Whether the option is the word, or one with a value where the word ends with =."""
    return option.startswith(word) if word.endswith("=") else option == word


@dataclass(frozen=True)
class Switch:
    on: str
    off: str
    """The option for its default."""
    every_time: bool = False
    """Whether every remount says it. Others only where they change: old kernels and old mount(8) do not know them."""


@dataclass(frozen=True)
class Choice:
    """Several words, of which one holds."""

    hidden: str
    """The one that holds where the kernel shows none of them."""
    words: tuple[str, ...]
    """What the kernel shows of the others. One with = at its end has a value."""
    usual: bool = True
    """Whether `hidden` is the default. Else the kernel chooses, by the kind of disk: what fstab says nothing about stays."""
    resets: bool = False
    """Whether a remount has to say `hidden` first."""

    def takes(self, option: str) -> bool:
        return option == self.hidden or any(is_word(option, word) for word in self.words)


def _value(name: str, default: str, *, usual: bool = True) -> Choice:
    return Choice(f"{name}={default}", (f"{name}=",), usual)


OF_A_MOUNT = (
    Switch("ro", "rw", every_time=True),
    Switch("noexec", "exec", every_time=True),
    Switch("nosuid", "suid", every_time=True),
    Switch("nodev", "dev", every_time=True),
    Switch("nodiratime", "diratime"),
    Switch("nosymfollow", "symfollow"),
)
OF_A_FILE_SYSTEM = (Switch("sync", "async", every_time=True), Switch("lazytime", "nolazytime"))
OF_A_KIND = {
    "ext4": (
        Switch("discard", "nodiscard"),
        Switch("nobarrier", "barrier"),
        Switch("noauto_da_alloc", "auto_da_alloc"),
        Switch("noblock_validity", "block_validity"),
        Switch("noinit_itable", "init_itable"),
        Switch("grpid", "nogrpid"),
        Switch("minixdf", "bsddf"),
        Switch("data_err=abort", "data_err=ignore"),
        Switch("warn_on_error", "nowarn_on_error"),
    ),
    "btrfs": (
        Switch("autodefrag", "noautodefrag"),
        Switch("flushoncommit", "noflushoncommit"),
        Switch("nobarrier", "barrier"),
        Switch("noacl", "acl"),
        Switch("notreelog", "treelog"),
        Switch("nodatasum", "datasum"),
        Switch("nodatacow", "datacow"),
    ),
}
"""What these file systems show only where it is on, and change at a remount."""

CHOICES = {
    "ext4": {
        "commit": _value("commit", "5"),
        "errors": Choice("errors=continue", ("errors=remount-ro", "errors=panic")),
        "max_batch_time": _value("max_batch_time", "15000"),
        "min_batch_time": _value("min_batch_time", "0"),
        "inode_readahead_blks": _value("inode_readahead_blks", "32"),
        "max_dir_size_kb": _value("max_dir_size_kb", "0"),
        "stripe": _value("stripe", "0", usual=False),
    },
    "xfs": {"inode64": Choice("inode64", ("inode32",))},
    "btrfs": {
        "commit": _value("commit", "30"),
        "metadata_ratio": _value("metadata_ratio", "0"),
        "compress": Choice("compress=no", ("compress=", "compress-force=")),
        "ssd": Choice("nossd", ("ssd", "ssd_spread"), usual=False, resets=True),
        "discard": Choice("nodiscard", ("discard", "discard=async"), usual=False),
    },
}
"""Of a kind: what else a remount changes."""

GIVEN = {
    "ext4": ("data=journal", "data=writeback", "nodelalloc", "usrquota", "grpquota", "prjquota"),
    "xfs": (
        *("nouuid", "discard", "wsync", "largeio", "swalloc", "filestreams", "allocsize="),
        *("usrquota", "uqnoenforce", "grpquota", "gqnoenforce", "prjquota", "pqnoenforce"),
    ),
    "btrfs": ("subvol=", "user_subvol_rm_allowed", "skip_balance"),
}
"""Of a kind: what no remount takes back, and the kernel shows only where somebody mounted it so."""

OF_MOUNT = {
    *("defaults", "nofail", "fail", "auto", "noauto", "user", "nouser", "users", "nousers", "owner", "noowner", "group", "nogroup"),
    *("_netdev", "loop", "bind", "rbind", "noatime", "atime", "relatime", "norelatime", "strictatime", "nostrictatime"),
}
OF_MOUNT_BEGIN = ("x-", "X-", "comment=", "helper=", "uhelper=", "loop=", "offset=", "sizelimit=")
"""What is not the file system's: mount(8) takes it, or it is told elsewhere."""

ALIASES = {
    "atime": "relatime",
    "nostrictatime": "relatime",
    "norelatime": "strictatime",
    "barrier=0": "nobarrier",
    "barrier=1": "barrier",
    "auto_da_alloc=0": "noauto_da_alloc",
    "bsdgroups": "grpid",
    "sysvgroups": "nogrpid",
    "commit=0": "commit=5",
    "discard=sync": "discard",
    **{
        f"{word}{said}": meant.format(word)
        for word in ("compress", "compress-force")
        for said, meant in {
            **dict.fromkeys(("", "=zlib", "=zlib:0"), "{}=zlib:3"),
            **dict.fromkeys(("=zstd", "=zstd:0"), "{}=zstd:3"),
            **dict.fromkeys(("=no", "=none"), "compress=no"),
        }.items()
    },
}
IMPLIED = {
    **dict.fromkeys(("user", "users"), ("noexec", "nosuid", "nodev")),
    **dict.fromkeys(("owner", "group"), ("nosuid", "nodev")),
    "nodatacow": ("nodatasum", "compress=no"),
    "datasum": ("datacow",),
    "compress": ("datasum", "datacow"),
}
"""mount(8), btrfs(5)."""
