"""The front end in one call: a path to checked documents."""

from __future__ import annotations

from collections.abc import Mapping

from compiler.diagnostics import Collector
from compiler.passes.bind import bind, check_variables
from compiler.passes.include import include
from compiler.passes.load import load
from compiler.passes.validate import validate
from compiler.source.documents import Documents
from compiler.source.files import Files


def read_documents(
    path: str,
    files: Files,
    overrides: Mapping[str, str],
    environment: Mapping[str, str],
    collector: Collector,
) -> Documents | None:
    """The plan at ``path`` with all that it includes, bound and validated.

    None if there is no plan to speak of. Otherwise ``collector.failed`` says whether the documents are
    sound; if they are not, their trees may lack what the schemas require.
    """
    documents = load(path, files, collector)
    if documents is None:
        return None
    documents = bind(documents, overrides, environment, collector)
    documents = include(documents, files, collector)
    documents = check_variables(documents, collector)
    return validate(documents, collector)
