"""What kind of disk a folder is on."""

import re
from pathlib import Path

__all__ = ["network_file_system"]

MOUNTS = Path("/proc/self/mountinfo")

# fmt: off
NETWORK = frozenset({
    "9p", "afs", "beegfs", "beegfs_nodev", "ceph", "cifs", "fakeowner", "fhgfs", "fuse.ceph",
    "fuse.glusterfs", "fuse.grpcfuse", "fuse.juicefs", "fuse.s3fs", "fuse.sshfs", "glusterfs",
    "gpfs", "lustre", "nfs", "nfs4", "ocfs2", "orangefs", "panfs", "prl_fs", "pvfs2", "smb3",
    "smbfs", "vboxsf", "virtiofs", "wekafs",
})
# fmt: on
"""File systems whose memory maps are not shared with every machine that sees the file."""


def network_file_system(path: Path) -> str | None:
    """Return the name of the network file system a path is on, None on a local disk.

    Where the system does not tell (there is no ``/proc``), the disk counts as local.
    """
    if not MOUNTS.exists():
        return None
    target = path.resolve()
    depth, kind = -1, ""
    for line in MOUNTS.read_text(errors="surrogateescape").splitlines():
        about, _, options = line.partition(" - ")
        # Spaces and the like are written as octal numbers.
        name = re.sub(r"\\(\d{3})", lambda found: chr(int(found[1], 8)), about.split()[4])
        mount = Path(name)
        # Of two mounts on one place the later hides the earlier.
        if target.is_relative_to(mount) and len(mount.parts) >= depth:
            depth, kind = len(mount.parts), options.split()[0]
    return kind if kind in NETWORK else None
