"""Everything that is written for readers, from a run directory into it: pictures, JUnit, summary, annotations, page."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from reports import junit, page, pictures, summary
from reports.model import RunModel, load
from reports.whole_files import write_whole


class Rendered(list[Path]):
    """The files written, and what could not be made (``warnings``). A warning never changes a verdict."""

    def __init__(self, paths: Iterable[Path], warnings: Iterable[str]) -> None:
        super().__init__(paths)
        self.warnings = list(warnings)


def render_run(directory: Path, baseline: Path | None = None) -> Rendered:
    """Write every report of the run into its directory; the page compares it with ``baseline``, another run, if given.

    What cannot be made or written becomes a warning, here and on the page; only a directory that is not there raises
    (NotADirectoryError).
    """
    model = load(directory)
    compared = None if baseline is None else load(baseline)
    drawn, warnings = pictures.draw_all(model)
    written = list(drawn)
    texts: list[tuple[str, Callable[[RunModel], str]]] = [
        ("junit.xml", junit.junit_xml),
        ("summary.md", summary.markdown),
        ("annotations.txt", summary.github_annotations),
        ("report.html", lambda model: page.report_html(model, drawn, warnings, compared)),
    ]
    for name, make in texts:
        path = directory / name
        try:
            write_whole(path, make(model))
        except Exception as error:
            warnings.append(f"{name} could not be written ({type(error).__name__}: {error})")
        else:
            written.append(path)
    return Rendered(written, [*model.warnings, *warnings])
