"""What the server does not wait for when it starts."""

import subprocess
import sys

HEAVY = {"scipy", "plotly", "matplotlib", "pandas", "sklearn", "torch", "ase", "numba"}


def test_the_server_starts_without_numerics_and_figures():
    code = "import sys, ssefw.cli.campaign.serve, ssefw.serve.run; print(*sys.modules)"
    there = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert {name.partition(".")[0] for name in there} & HEAVY == set()
