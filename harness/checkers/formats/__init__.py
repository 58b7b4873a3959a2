"""Histories that other tools recorded, in and out: native JSON lines, Jepsen's EDN, the text of Jepsen's logs."""
