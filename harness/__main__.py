"""``python -m harness`` is ``torture``."""

from harness.cli import main

main()
