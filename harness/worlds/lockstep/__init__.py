"""The lockstep world: the simulator's loop, with every agent in a real process that has a real log.

The loop decides when everything happens and how input and output end; the processes run the protocol code, write their
logs, are really killed, and really recover from what is in their files. Same plan, same digest as in one process: what the
simulator found is confirmed exactly.
"""
