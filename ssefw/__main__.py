"""Run the command line as ``python -m ssefw``."""

from ssefw.cli import main

main()
