"""The schemas themselves: complete, described, and true to what the code writes."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from compiler.diagnostics import Collector
from compiler.model import plan as model
from compiler.model.codec import seal, to_json
from compiler.model.run import RunStatus, StepStatus
from compiler.passes.front import read_documents
from compiler.source.files import DiskFiles
from compiler.source.schemas import schema_of, schemas
from compiler.source.tree import MappingNode, Node, SequenceNode

COMPLETE = Path(__file__).parent / "complete"


Oracle = Callable[[str], Draft202012Validator]


def subschemas(value: object, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every mapping in a schema with the path to it."""
    if isinstance(value, dict):
        yield path, value
        for key, item in value.items():
            yield from subschemas(item, f"{path}/{key}")
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from subschemas(item, f"{path}/{number}")


def named(path: str, part: dict[str, Any]) -> bool:
    """Whether a part of a schema describes a mapping by its keys, and not just a condition on one."""
    conditional = re.search(r"/(if|then|dependentSchemas)(/|$)", path)
    return isinstance(part.get("properties"), dict) and not path.endswith("/properties") and not conditional


def properties() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """(place, name, schema) of every property in every schema."""
    for file, schema in schemas().items():
        for path, part in subschemas(schema):
            if named(path, part):
                for name, item in part["properties"].items():
                    yield f"{file}{path}", name, item


@pytest.mark.parametrize("file", schemas())
def test_a_schema_is_one(file: str) -> None:
    """Each file is a valid schema of draft 2020-12, named by its own file."""
    schema = dict(schemas()[file])
    Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["$id"] == file.rpartition("/")[2]


@pytest.mark.parametrize("file", schemas())
def test_every_reference_leads_somewhere(file: str) -> None:
    """References are relative, so that editors find the files, and resolve without a network."""
    for path, part in subschemas(schemas()[file]):
        reference = part.get("$ref")
        if isinstance(reference, str) and not path.endswith("/properties"):
            assert "://" not in reference
            name, _, pointer = reference.partition("#")
            folder = file.rpartition("/")[0]
            target = "/".join([*([folder] if folder else []), name]) if name else file
            target = re.sub(r"[^/]+/\.\./", "", target)
            found: Any = schemas()[target]
            for step in pointer.split("/")[1:]:
                found = found[step]
            assert found


def test_every_property_has_a_title_and_a_description() -> None:
    """They become the reference documentation and what editors show."""
    bare = [
        f"{place}: {name}" for place, name, item in properties() if not {"title", "description"} <= set(item)
    ]
    assert bare == []


def test_what_people_write_is_closed() -> None:
    """A mapping with named keys refuses others, so that a misspelling is not ignored in silence; one that is
    discriminated is closed by the branch that its discriminator chooses."""
    open_ones = [
        f"{file}{path}"
        for file, schema in schemas().items()
        for path, part in subschemas(schema)
        if named(path, part) and part.get("additionalProperties") is not False and "allOf" not in part
    ]
    assert open_ones == []


def test_there_is_no_any_of_several_shapes() -> None:
    """'anyOf' and 'oneOf' only choose between required keys: anything else has no readable message."""
    for file, schema in schemas().items():
        for path, part in subschemas(schema):
            for keyword in ("anyOf", "oneOf"):
                if isinstance(part.get(keyword), list):
                    assert all(set(branch) == {"required"} for branch in part[keyword]), f"{file}{path}"


def test_a_document_with_every_key_is_accepted() -> None:
    """The complete plan, strategy and transform earn no diagnostic but for an unused variable's warning."""
    collector = Collector()
    documents = read_documents("plan.yaml", DiskFiles(COMPLETE, start=COMPLETE), {}, {}, collector)
    assert [item.detail for item in collector.diagnostics] == []
    assert documents is not None and documents.strategy is not None
    assert set(documents.inputs) == {"plan.yaml", "rollback.yaml", "transforms/notes.yaml"}


def test_every_key_of_every_schema_is_in_the_complete_documents() -> None:
    """No key is in a schema without a document that shows that it can be written."""
    collector = Collector()
    documents = read_documents("plan.yaml", DiskFiles(COMPLETE, start=COMPLETE), {}, {}, collector)
    assert documents is not None

    def keys(node: Node) -> Iterator[str]:
        if isinstance(node, MappingNode):
            for entry in node:
                yield entry.key
                yield from keys(entry.value)
        elif isinstance(node, SequenceNode):
            for item in node.items:
                yield from keys(item)

    written = {key for document in documents.all() for key in keys(document.root)}
    results = ("compiled-plan.schema.json", "run-report.schema.json")
    known = {name for place, name, _ in properties() if not place.startswith(results)}
    assert known - written == set()


@pytest.mark.parametrize("kind", ["MigrationPlan", "RollbackStrategy", "Transform"])
def test_the_oracle_accepts_the_complete_documents(kind: str, oracle: Oracle) -> None:
    """jsonschema agrees that the complete documents are valid."""
    documents = read_documents("plan.yaml", DiskFiles(COMPLETE, start=COMPLETE), {}, {}, Collector())
    assert documents is not None and documents.strategy is not None
    roots = {
        "MigrationPlan": documents.plan.root,
        "RollbackStrategy": documents.strategy.root,
        "Transform": documents.transforms["transforms/notes.yaml"].root,
    }
    assert list(oracle(kind).iter_errors(roots[kind].plain())) == []


RECORDS = {
    "": model.CompiledPlan,
    "store": model.StoreSpec,
    "phase": model.Phase,
    "edge": model.Edge,
    "estimate": model.Estimate,
    "schedule": model.Schedule,
    "origin": model.Origin,
    "retry": model.Retry,
    "inverse": model.Inverse,
    "guard": model.Guard,
    "step": model.Step,
    "trigger": model.Trigger,
    "procedure": model.Procedure,
}


@pytest.mark.parametrize("name", RECORDS)
def test_the_compiled_plans_schema_has_the_models_fields(name: str) -> None:
    """What the codec writes and what the schema says are the same fields, the same ones required."""
    schema: Any = schema_of("CompiledPlan")
    part = schema["$defs"][name] if name else schema
    fields = {re.sub(r"_(.)", lambda m: m[1].upper(), f.name): f for f in dataclasses.fields(RECORDS[name])}
    assert set(part["properties"]) == set(fields)
    required = {
        key
        for key, field in fields.items()
        if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    }
    # The digest has a default in the model, but a compiled file without one is none.
    assert set(part.get("required", [])) == (required | {"digest"} if not name else required)


def test_a_sealed_plan_is_valid(oracle: Oracle) -> None:
    """A plan with every kind of part, as the codec writes it, passes the schema."""
    step = model.Step(
        id="copy",
        kind="bulk",
        inverse=model.Inverse(summary="take it back"),
        guard=model.Guard(step="probe", verdicts=(model.Verdict.APPLIED,)),
        origin=model.Origin(file="plan.yaml", line=1, column=1),
        timeout=5.0,
    )
    plan = model.CompiledPlan(
        name="small",
        kind=model.PlanKind.PLAN,
        format=model.FORMAT,
        stores={"legacy": model.StoreSpec(type="mongodb", options={"uri": {"fromEnv": "URI"}})},
        phases=(model.Phase(id="one", name="One", dependencies=("zero",)),),
        steps=(step,),
        edges=(model.Edge(before="a", after="b"),),
        triggers=(model.Trigger(id="errors", condition="read > 1", threshold=1.0),),
        rollback=model.RollbackPlan(procedures=(model.Procedure(step=step, order=1),), checks=(step,)),
        policy=model.Policy(max_parallel=2),
        estimate=model.Estimate(low=1, likely=2, high=3, provenance="declared"),
    )
    assert list(oracle("CompiledPlan").iter_errors(to_json(seal(plan)))) == []


def test_the_run_reports_schema_knows_every_status() -> None:
    """A status that a run or a step can have is one that the report's schema allows."""
    schema: Any = schema_of("RunReport")
    assert {status.value for status in RunStatus} <= set(schema["properties"]["status"]["enum"])
    steps = schema["$defs"]["step"]["properties"]["status"]["enum"]
    assert {status.value for status in StepStatus} | {"interrupted"} == set(steps)
