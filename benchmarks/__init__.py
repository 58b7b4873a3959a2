"""Measurements: how fast this is, side by side with other systems on the same machine, minute and load. ``make bench``.

Nothing here is a test: numbers move with the machine, so each stands beside the state of the CPUs when it was taken.
"""
