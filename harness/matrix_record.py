"""``docs/kill-matrix.json``: the kill matrix as it was measured, row by row."""

from __future__ import annotations

from pathlib import Path

import msgspec

from harness.errors import UserError
from harness.matrix import MatrixResult, MatrixRow


class Recorded(msgspec.Struct, frozen=True):
    """``docs/kill-matrix.json``: the matrix as it was measured."""

    schema_version: int
    rows: tuple[MatrixRow, ...]

    @property
    def codes(self) -> tuple[str, ...]:
        """Versions of the code that the trials were run with."""
        return tuple(sorted({code for row in self.rows for code in row.codes}))


def write_recorded(result: MatrixResult, path: Path, before: Recorded | None = None) -> None:
    """``before``: a record whose rows stay unless the result has newer ones."""
    rows = {(row.strategy, row.mutant): row for row in (*(before.rows if before else ()), *result.rows)}
    ordered = sorted(rows.values(), key=lambda row: (row.strategy != "portfolio", row.strategy, row.mutant))
    path.write_bytes(msgspec.json.format(msgspec.json.encode(Recorded(1, tuple(ordered))), indent=1) + b"\n")


def read_recorded(path: Path) -> Recorded:
    """Raises UserError if the file is not there or not a matrix."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Recorded)
    except OSError as error:
        raise UserError(
            f"{path} cannot be read ({error.strerror}); go to the project's directory, or record one with "
            "`torture matrix --write`"
        ) from error
    except msgspec.DecodeError as error:
        raise UserError(f"{path} is no recorded matrix ({error}); record one with `torture matrix --write`") from error
