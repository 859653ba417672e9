"""openapi.yaml against the template and against SageMaker Runtime's model, as the installed botocore describes it.

Against the API itself: tests/e2e/test_schemathesis.py.
"""

from collections.abc import Mapping
from typing import Any

import botocore.session
import pytest
import yaml
from openapi_spec_validator import OpenAPIV31SpecValidator

from tests.template.expansion import ROOT, source

DOCUMENT = yaml.safe_load((ROOT / "openapi.yaml").read_text())
MODEL = botocore.session.get_session().get_service_model("sagemaker-runtime")
OPERATIONS = {name: MODEL.operation_model(name) for name in MODEL.operation_names}
# Headers that OpenAPI forbids as parameters and as response headers: `content` and the description are their place.
IN_CONTENT = {"accept", "content-type"}


def resolved(node: Any) -> Any:
    """What a reference within the document means."""
    while isinstance(node, dict) and "$ref" in node:
        found = DOCUMENT
        for part in node["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        node = found
    return node


def routes() -> dict[tuple[str, str], dict[str, Any]]:
    methods = ("get", "post", "put", "patch", "delete", "head", "options")
    return {
        (method.upper(), path): {
            **operation,
            "parameters": [*item.get("parameters", []), *operation.get("parameters", [])],
        }
        for path, item in DOCUMENT["paths"].items()
        for method, operation in item.items()
        if method in methods
    }


def by_id(name: str) -> dict[str, Any]:
    (found,) = [operation for operation in routes().values() if operation["operationId"] == name]
    return found


def test_the_document_is_valid_openapi():
    OpenAPIV31SpecValidator(DOCUMENT).validate()


def test_its_routes_are_the_templates():
    events = source()["Resources"]["InvokerFunction"]["Properties"]["Events"]
    deployed = {(e["Properties"]["Method"], e["Properties"]["Path"]): name for name, e in events.items()}
    assert {route: operation["operationId"] for route, operation in routes().items()} == deployed


def test_every_operation_says_what_a_reference_needs():
    for operation in routes().values():
        assert operation["summary"] and operation["description"] and operation["tags"]
        for part in (*operation["parameters"], *operation["responses"].values()):
            assert resolved(part)["description"]


@pytest.mark.parametrize("name", OPERATIONS)
def test_r01_every_member_of_the_model_is_there(name: str):
    model, operation = OPERATIONS[name], by_id(name)
    assert ("POST", model.http["requestUri"].replace("{EndpointName}", "{name}")) in routes()
    shape = model.input_shape
    parameters = {p["name"].lower(): p for p in map(resolved, operation["parameters"]) if p["in"] == "header"}
    members = {m.serialization["name"].lower(): (key, m) for key, m in headers_of(shape)}
    assert parameters.keys() == members.keys() - IN_CONTENT
    for header, parameter in parameters.items():
        member, of = members[header]
        assert f"`{member}`" in parameter["description"]
        assert parameter.get("required", False) == (member in shape.required_members)
        same_limits(member, resolved(parameter["schema"]), of.metadata)
    assert ("requestBody" in operation) == ("payload" in shape.serialization)


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_member_of_the_answer_is_there(name: str):
    model, operation = OPERATIONS[name], by_id(name)
    answer = resolved(operation["responses"][str(model.http.get("responseCode", 200))])
    described = {header.lower(): resolved(of) for header, of in answer["headers"].items()}
    members = {m.serialization["name"].lower(): key for key, m in headers_of(model.output_shape)}
    own = {"x-amzn-requestid", "server-timing", "x-content-type-options"}
    assert described.keys() == (members.keys() - IN_CONTENT) | own
    for header, member in members.items():
        assert header in IN_CONTENT or f"`{member}`" in described[header]["description"]
    in_body = {
        key
        for key, m in model.output_shape.members.items()
        if "location" not in m.serialization and key != model.output_shape.serialization.get("payload")
    }
    if in_body:
        assert set(answer["content"]["application/json"]["schema"]["properties"]) == in_body


@pytest.mark.parametrize("name", OPERATIONS)
def test_r02_every_error_of_the_model_is_there(name: str):
    operation = by_id(name)
    for error in OPERATIONS[name].error_shapes:
        status = error.metadata.get("error", {}).get("httpStatusCode")
        if status is None:
            # It comes within the stream.
            assert f"`{error.name}`" in operation["description"]
            continue
        answer = resolved(operation["responses"][str(status)])
        assert f"`{error.name}`" in answer["description"]
        schema = resolved(answer["content"]["application/json"]["schema"])
        schemas = [resolved(one) for one in schema.get("anyOf", [schema])]
        assert any(error.members.keys() <= one["properties"].keys() for one in schemas)


def headers_of(shape: Any) -> list[tuple[str, Any]]:
    return [(key, m) for key, m in shape.members.items() if m.serialization.get("location") == "header"]


def same_limits(member: str, schema: Mapping[str, Any], limits: Mapping[str, Any]) -> None:
    if schema["type"] == "integer":
        assert (schema["minimum"], schema["maximum"]) == (limits["min"], limits["max"]), member
    else:
        assert schema["maxLength"] == limits["max"], member
        assert schema.get("minLength", 0) >= limits.get("min", 0), member
        # The model's own patterns are anchored at the start at most.
        assert schema["pattern"].startswith("^") and schema["pattern"].endswith("$"), member
