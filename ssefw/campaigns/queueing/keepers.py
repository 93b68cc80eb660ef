"""What keeps a launcher running on a login node: files for tmux, for cron and for systemd.

Each reads its line in its own way before a shell sees it, and paths may hold spaces, dollars and
percent signs.
"""

import shlex
import sys
from pathlib import Path

from ssefw.errors import LaunchError

__all__ = ["keeper_files"]

TMUX = """\
#!/bin/bash
# Keep the launcher running after you log out: bash launcher.sh. Look at it: tmux attach -t ssefw
tmux new-session -d -s ssefw bash -c {line}
"""

CRON = """\
# A line for `crontab -e` on a login node without tmux or systemd: one look every five minutes.
# cron starts few programs of its own: a login shell finds those of the queue.
*/5 * * * * {line}
"""

SERVICE = """\
# Copy to ~/.config/systemd/user/ssefw.service, then:
#   systemctl --user enable --now ssefw; loginctl enable-linger
[Unit]
Description=Keep the queue fed with jobs of ssefw

[Service]
ExecStart=/bin/bash -lc {line}
Restart=on-failure
RestartSec=60
# What is in the queue goes on without the launcher.
KillMode=process

[Install]
WantedBy=default.target
"""


def keeper_files(folder: Path) -> dict[str, str]:
    """Return the files by name, for a launcher with the settings in a folder.

    Raises
    ------
    LaunchError
        If the name of the folder has a line break, which no line can hold.
    """
    if not str(folder).isprintable():
        raise LaunchError(f"The folder {str(folder)!r} has a control character in its name.")
    variable = f"SSEFW_SETTINGS={folder / 'settings.yaml'}"
    launch = ["env", variable, sys.executable, "-P", "-m", "ssefw", "launch"]
    stay, once = shlex.join([*launch, "--stay"]), shlex.join([*launch, "--once"])
    log = shlex.quote(str(folder / "launcher.log"))
    look = f"{shlex.join(['/bin/bash', '-lc', f'exec {once}'])} >> {log} 2>&1"
    return {
        "launcher.sh": TMUX.format(line=shlex.quote(f"{stay} 2>&1 | tee -a {log}")),
        # To cron, a percent sign ends the command.
        "launcher.cron": CRON.format(line=look.replace("%", r"\%")),
        "launcher.service": SERVICE.format(line=_systemd_word(f"exec {stay}")),
    }


def _systemd_word(text: str) -> str:
    """Return a text as systemd takes it for one argument, without variables and specifiers."""
    for special, escaped in (("\\", "\\\\"), ('"', '\\"'), ("%", "%%"), ("$", "$$")):
        text = text.replace(special, escaped)
    return f'"{text}"'
