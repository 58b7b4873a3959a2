"""The JSON schema of results.json, made from its types. ``python -m reports.schema`` writes it to docs/schemas/."""

from __future__ import annotations

from pathlib import Path

import msgspec

from harness.results import SCHEMA_VERSION, Results

TARGET = Path(__file__).parent.parent / "docs" / "schemas" / "results.schema.json"


def results_schema() -> str:
    schema = msgspec.json.schema(Results)
    titled = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"results.json, version {SCHEMA_VERSION}",
        "description": "What a run of torture found. Every report is made from this file.",
        **schema,
    }
    return msgspec.json.format(msgspec.json.encode(titled), indent=2).decode() + "\n"


if __name__ == "__main__":
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    TARGET.write_text(results_schema(), encoding="utf-8")
    print(f"wrote {TARGET}")
