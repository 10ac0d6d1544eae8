"""Faults of meaning: each code that resolve, link, check and undo report, at its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from compiler.driver import Compiled, compile_file

HEAD = """\
apiVersion: plan/v1
kind: MigrationPlan
metadata: {name: x}
stores:
  m: {type: mongodb, uri: "mongodb://localhost", database: d}
  c: {type: chromadb, path: ./vectors, embedding: {provider: static}}
phases:
"""
TRANSFORM = "{apiVersion: plan/v1, kind: Transform, steps: [], content: {type: t}}"


def compiled(folder: Path, text: str) -> Compiled:
    """The outcome of compiling a text."""
    path = folder / "plan.yaml"
    path.write_text(text)
    return compile_file(path)


CASES = [
    (
        "no-inverse",
        8,
        "  - {id: a, name: A, tasks: [{id: x, action: {command: {run: [ls]}}}]}",
    ),
    (
        "unordered-writes",
        10,
        "  - {id: a, name: A, tasks: [\n"
        "      {id: x, action: {restore: {from: plan.yaml, into: m.t}}},\n"
        "      {id: y, action: {restore: {from: plan.yaml, into: m.t}}}]}",
    ),
    (
        "later-phase",
        8,
        "  - {id: a, name: A, tasks: [{id: x, prerequisites: [y], action: {health: {store: m}}}]}\n"
        "  - {id: b, name: B, dependencies: [a], tasks: [{id: y, action: {health: {store: m}}}]}",
    ),
    (
        "unknown-phase",
        8,
        "  - {id: a, name: A, dependencies: [z], tasks: [{id: x, action: {health: {store: m}}}]}",
    ),
    (
        "cycle",
        8,
        "  - {id: a, name: A, dependencies: [b], tasks: [{id: x, action: {health: {store: m}}}]}\n"
        "  - {id: b, name: B, dependencies: [a], tasks: [{id: y, action: {health: {store: m}}}]}",
    ),
    (
        "same-place",
        8,
        "  - {id: a, name: A, tasks: [{id: x, action: {bulk: {source: m.a, targets: [m.a]}}}]}",
    ),
    (
        "store-cannot",
        8,
        "  - {id: a, name: A, tasks: [{id: x, action: {bulk: {source: c.abc, targets: [m.a]}}}]}",
    ),
    (
        "no-content",
        8,
        "  - {id: a, name: A, tasks: [{id: x, action: {bulk: {source: m.a, targets: [c.abc]}}}]}",
    ),
    (
        "cannot-fail",
        9,
        "  - {id: a, name: A, tasks: [{id: x, action: {health: {store: m}}}],\n"
        "     validation: [{step: v, description: d, expected: e}]}",
    ),
    (
        "unknown-task",
        8,
        "  - {id: a, name: A, tasks: [{id: x, action: {verify: {task: nothing}}}]}",
    ),
    (
        "no-window",
        9,
        "  - {id: a, name: A, tasks: [{id: x, action: {health: {store: m}}}]}\n"
        "rollbackStrategy: {apiVersion: plan/v1, kind: RollbackStrategy, triggers: [{name: t, condition:"
        " errorRate, threshold: 3, severity: low, automated: true}]}",
    ),
    (
        "unknown-metric",
        9,
        "  - {id: a, name: A, tasks: [{id: x, action: {health: {store: m}}}]}\n"
        "rollbackStrategy: {apiVersion: plan/v1, kind: RollbackStrategy, triggers: [{name: t, condition:"
        " errorrate > 3, severity: low, automated: true}]}",
    ),
    (
        "bad-condition",
        9,
        "  - {id: a, name: A, tasks: [{id: x, action: {health: {store: m}}}]}\n"
        "rollbackStrategy: {apiVersion: plan/v1, kind: RollbackStrategy, triggers: [{name: t, condition:"
        " errorRate >, severity: low, automated: true}]}",
    ),
    (
        "bad-expression",
        9,
        "  - {id: a, name: A, tasks: [{id: x, action: {bulk: {source: m.a, targets: [m.b],\n"
        "      transform: {steps: [{filter: state = deleted}]}}}}]}",
    ),
    (
        "bad-template",
        9,
        "  - {id: a, name: A, tasks: [{id: x, action: {bulk: {source: m.a, targets: [m.b],\n"
        "      transform: {steps: [{template: {c: '{{ title }: {{ text }}'}}]}}}}]}",
    ),
    (
        "bad-function",
        9,
        "  - {id: a, name: A, tasks: [{id: x, action: {bulk: {source: m.a, targets: [m.b],\n"
        "      transform: {steps: [{python: './plan.yaml:clean'}]}}}}]}",
    ),
    (
        "rollback-cycle",
        10,
        "  - {id: a, name: A, tasks: [{id: x, action: {restore: {from: plan.yaml, into: m.t}}},"
        " {id: y, prerequisites: [x], action: {restore: {from: plan.yaml, into: m.t}}}]}\n"
        "rollbackStrategy: {apiVersion: plan/v1, kind: RollbackStrategy,\n"
        "  procedures: [{name: p, order: 1, type: data, automated: true, undoes: [x],"
        " action: {health: {store: m}}}, {name: q, order: 2, type: data, automated: true, undoes: [y],"
        " action: {health: {store: m}}}]}",
    ),
]


@pytest.mark.parametrize(
    ("code", "line", "phases"), CASES, ids=[case[0] + str(i) for i, case in enumerate(CASES)]
)
def test_faults_of_meaning(code: str, line: int, phases: str, tmp_path: Path) -> None:
    """What is well-formed and wrong is told by its code, on its line, with a hint or a detail."""
    result = compiled(tmp_path, HEAD + phases + "\n")
    found = [item for item in result.diagnostics if item.code == code]
    assert [item.span.line for item in found if item.span] == [line], result.text
    assert found[0].detail


def test_a_known_dimension_is_checked(tmp_path: Path) -> None:
    """A store whose dimension is not that of its embedding does not compile."""
    text = HEAD.replace("path: ./vectors,", "path: ./vectors, dimension: 384,")
    result = compiled(
        tmp_path, text + "  - {id: a, name: A, tasks: [{id: x, action: {health: {store: c}}}]}\n"
    )
    assert [i.span.line for i in result.diagnostics if i.code == "dimension-mismatch" and i.span] == [6]


def test_prerequisites_and_phases_make_the_order(tmp_path: Path) -> None:
    """Phases are joined by barriers, tasks before validations, and edges do not multiply."""
    tasks = ", ".join(f"{{id: t%s{i}, action: {{health: {{store: m}}}}}}" for i in range(20))
    text = HEAD + "".join(
        f"  - {{id: {p}, name: P, dependencies: [{d}], tasks: [{tasks.replace('%s', p)}],\n"
        f"     validation: [{{step: v{p}, description: d, expected: e,"
        f" action: {{health: {{store: m}}}}}}]}}\n"
        for p, d in (("a", ""), ("b", "a"))
    )
    result = compiled(tmp_path, text)
    assert result.plan is not None, result.text
    order = [step.id for step in result.plan.steps]
    assert max(order.index(f"ta{i}") for i in range(20)) < order.index("va")
    assert order.index("va") < min(order.index(f"tb{i}") for i in range(20))
    assert len(result.plan.edges) <= 2 * (2 * 20 + 2 + 2) + 1


def test_the_schedule_is_never_shorter_than_it_can_be(tmp_path: Path) -> None:
    """The whole duration lies between the critical path and the sum, and respects how many may run."""
    tasks = ", ".join(
        f"{{id: t{i}, estimatedDuration: {i + 1}m, action: {{health: {{store: m}}}}}}" for i in range(6)
    )
    for parallel in (1, 2, 6):
        text = HEAD + f"  - {{id: a, name: A, tasks: [{tasks}]}}\npolicy: {{maxParallel: {parallel}}}\n"
        plan = compiled(tmp_path, text).plan
        assert plan is not None
        total = sum(60.0 * (i + 1) for i in range(6))
        assert 360.0 <= plan.estimate.likely <= total
        if parallel == 1:
            assert plan.estimate.likely == total
        spans = sorted(
            (step.schedule.start, step.schedule.end) for step in plan.steps if step.kind == "health"
        )
        for start, _ in spans:
            assert sum(s <= start < e for s, e in spans) <= parallel


def test_digest_knows_what_matters(tmp_path: Path) -> None:
    """Comments, line breaks and the order of keys do not change the digest; a threshold does."""
    action = "{bulk: {source: m.a, targets: [m.b], errorThreshold: 1}}"
    text = HEAD + f"  - {{id: a, name: A, tasks: [{{id: x, action: {action}}}]}}\n"
    digests = []
    for variant in (
        text,
        "# a comment\n\n" + text,
        text.replace("source: m.a, targets: [m.b]", "targets: [m.b], source: m.a"),
        text.replace("errorThreshold: 1", "errorThreshold: 2"),
    ):
        plan = compiled(tmp_path, variant).plan
        assert plan is not None
        digests.append(plan.digest)
    assert digests[0] == digests[1] == digests[2] != digests[3]
