"""docs/api.md from openapi.yaml: `python -m tests.docs.api` writes it, a test holds it to the document."""

from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from tests.template.expansion import ROOT

PAGE = ROOT / "docs" / "api.md"
NOTE = "<!-- Written from openapi.yaml by `make docs`: change that, not this. -->"
METHODS = ("get", "post", "put", "patch", "delete", "head", "options")

Node = Mapping[str, Any]


def page() -> str:
    return "\n\n".join(_sections(yaml.safe_load((ROOT / "openapi.yaml").read_text()))) + "\n"


def _sections(document: Node) -> Iterator[str]:
    api = _Document(document)
    yield "# API reference"
    yield NOTE
    yield f"{document['info']['summary']}. How to call it: [Call the API](calling.md)."
    yield document["info"]["description"].strip()
    server = document["servers"][0]
    yield f"**Address.** {server['description']}: `{server['url']}`"
    for path, item in document["paths"].items():
        for method in (method for method in METHODS if method in item):
            yield from api.operation(f"{method.upper()} {path}", item, item[method])
    yield "## Errors"
    yield "The type is in the header `x-amzn-ErrorType`. Where a body has several forms, its type tells which."
    yield _table(("status", "meaning", "body"), api.errors())
    yield "## Bodies"
    for name, schema in document["components"]["schemas"].items():
        if schema["type"] == "object":
            yield from api.schema(name, schema)
    yield "## Who is asking"
    schemes = document["components"]["securitySchemes"].values()
    yield _table(("header", "meaning"), ((f"`{s['name']}`", _line(s["description"])) for s in schemes))


class _Document:
    def __init__(self, document: Node) -> None:
        self._document = document

    def resolved(self, node: Node) -> Node:
        while "$ref" in node:
            found: Any = self._document
            for part in node["$ref"].removeprefix("#/").split("/"):
                found = found[part]
            node = found
        return node

    def operation(self, route: str, item: Node, operation: Node) -> Iterator[str]:
        yield f"## {operation['operationId']}"
        yield f"`{route}`"
        yield f"{operation['summary']}."
        yield operation["description"].strip()
        parameters = [self.resolved(p) for p in (*item.get("parameters", []), *operation.get("parameters", []))]
        if parameters:
            yield _table(("parameter", "meaning", "must be"), (self._field(p["name"], p) for p in parameters))
        if "requestBody" in operation:
            yield f"**Body.** {_line(self.resolved(operation['requestBody'])['description'])}"
        for status, answer in ((s, self.resolved(a)) for s, a in operation["responses"].items()):
            if status < "400":
                yield from self._success(status, answer)
        refused = [status for status in operation["responses"] if status >= "400"]
        yield f"**Refused.** {', '.join(refused)}: see [Errors](#errors)."

    def _success(self, status: str, answer: Node) -> Iterator[str]:
        kinds = ", ".join(f"`{kind}`" for kind in answer["content"])
        yield f"**Answer.** {status}, {kinds}. {_line(answer['description'])}"
        headers = ((name, self.resolved(of)) for name, of in answer["headers"].items())
        yield _table(("header", "meaning", "is"), (self._field(name, of) for name, of in headers))
        for content in answer["content"].values():
            schema = content["schema"]
            if "$ref" in schema:
                yield f"The body is a {_link(schema)}."
            elif "properties" in schema:
                yield _table(("member", "meaning", "is"), self._members(schema))

    def errors(self) -> Iterator[tuple[str, ...]]:
        """Each kind of refusal once, by status."""
        found: dict[str, set[str]] = {}
        for item in self._document["paths"].values():
            for operation in (item[method] for method in METHODS if method in item):
                for status, answer in operation["responses"].items():
                    if status >= "400":
                        found.setdefault(status, set()).add(answer["$ref"])
        for status, references in sorted(found.items()):
            for reference in sorted(references):
                answer = self.resolved({"$ref": reference})
                schema = answer["content"]["application/json"]["schema"]
                bodies = " or ".join(_link(one) for one in schema.get("anyOf", [schema]))
                yield status, _line(answer["description"]), bodies

    def schema(self, name: str, schema: Node) -> Iterator[str]:
        yield f"### {name}"
        if "description" in schema:
            yield _line(schema["description"])
        yield _table(("member", "meaning", "is"), self._members(schema))

    def _members(self, schema: Node, within: str = "") -> Iterator[tuple[str, ...]]:
        for name, of in schema["properties"].items():
            of = self.resolved(of)
            yield self._field(within + name, of if "schema" in of else {**of, "schema": of})
            if "properties" in of.get("items", {}):
                yield from self._members(of["items"], f"{within}{name}[].")

    def _field(self, name: str, of: Node) -> tuple[str, ...]:
        return f"`{name}`", _line(of.get("description", "")), _limits(self.resolved(of["schema"]))


def _limits(schema: Node) -> str:
    """What a value must be, in words."""
    if "const" in schema:
        return f"`{_literal(schema['const'])}`"
    if "enum" in schema:
        return ", ".join(f"`{_literal(value)}`" for value in schema["enum"])
    kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    words = ["whole number" if kind == "integer" else "list" if kind == "array" else kind for kind in kinds]
    said = [" or ".join(words)]
    if schema["type"] == "integer":
        low, high, unit = schema.get("minimum"), schema.get("maximum"), ""
    else:
        low, high, unit = schema.get("minLength"), schema.get("maxLength"), " characters"
    if low is not None and high is not None:
        said.append(f"{low} to {high:,}{unit}")
    elif high is not None:
        said.append(f"at most {high:,}{unit}")
    if "pattern" in schema:
        said.append(f"`{schema['pattern']}`")
    return ", ".join(said).replace("|", "\\|")


def _literal(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _link(schema: Node) -> str:
    name = schema["$ref"].rpartition("/")[2]
    return f"[{name}](#{name.lower()})"


def _line(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _table(heads: tuple[str, ...], rows: Iterator[tuple[str, ...]]) -> str:
    lines = [heads, tuple("---" for _ in heads), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


if __name__ == "__main__":
    PAGE.write_text(page())
