"""template.yaml as CloudFormation sees it: after the SAM transform, and with a side's parameters filled in.

References to resources stay visible: GetAtt and Ref of a resource become "<LogicalId.Attribute>" and "<LogicalId>".
"""

import copy
import functools
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from unittest import mock

from samtranslator.translator.transform import transform
from samtranslator.yaml_helper import yaml_parse

ROOT = Path(__file__).resolve().parents[2]
PSEUDO = {
    "AWS::AccountId": "444455556666",
    "AWS::Partition": "aws",
    "AWS::Region": "us-east-1",
    "AWS::StackId": "arn:aws:cloudformation:us-east-1:444455556666:stack/stack/0",
    "AWS::StackName": "stack",
    "AWS::URLSuffix": "amazonaws.com",
}
_ABSENT = object()


@functools.cache
def source() -> dict[str, Any]:
    return yaml_parse((ROOT / "template.yaml").read_text())


@functools.cache
def expanded() -> dict[str, Any]:
    template = copy.deepcopy(source())
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::Serverless::Function":
            # The transform takes packaged code only, which is what `sam deploy` gives it.
            resource["Properties"]["CodeUri"] = "s3://bucket/key"

    class NoManagedPolicies:
        def load(self) -> dict[str, str]:
            return {}

    # It derives the partition from a region, and there may be no configuration to take one from.
    with mock.patch.dict(os.environ, {"AWS_DEFAULT_REGION": PSEUDO["AWS::Region"]}):
        return transform(template, {}, NoManagedPolicies())


def parameters(**given: str) -> dict[str, Any]:
    """Every parameter's value, given or default, lists as lists."""
    declared = source()["Parameters"]
    unknown = given.keys() - declared.keys()
    assert not unknown, f"no such parameter: {unknown}"
    values = {name: str(given.get(name, declaration["Default"])) for name, declaration in declared.items()}
    return {name: value.split(",") if is_list(name) else value for name, value in values.items()}


def is_list(parameter: str) -> bool:
    return source()["Parameters"][parameter]["Type"] == "CommaDelimitedList"


class Stack:
    """The resources and outputs that these parameters make."""

    def __init__(self, pseudo: Mapping[str, str] = PSEUDO, **given: str) -> None:
        template = expanded()
        self._refs = {**pseudo, **parameters(**given)}
        self._conditions = template["Conditions"]
        self.resources = self._kept(template["Resources"])
        self.outputs = {name: output["Value"] for name, output in self._kept(template["Outputs"]).items()}

    def properties(self, name: str) -> dict[str, Any]:
        return self.resources[name]["Properties"]

    def of_type(self, kind: str) -> dict[str, dict[str, Any]]:
        return {name: made["Properties"] for name, made in self.resources.items() if made["Type"] == kind}

    def _kept(self, section: dict[str, Any]) -> dict[str, Any]:
        kept = {name: part for name, part in section.items() if self._holds(part.get("Condition"))}
        return {
            name: self._value({key: part[key] for key in part if key != "Condition"}) for name, part in kept.items()
        }

    def _holds(self, condition: Any) -> bool:
        match condition:
            case None:
                return True
            case str(name):
                return self._holds(self._conditions[name])
            case {"Condition": name}:
                return self._holds(name)
            case {"Fn::Not": [inner]}:
                return not self._holds(inner)
            case {"Fn::And": parts}:
                return all(map(self._holds, parts))
            case {"Fn::Or": parts}:
                return any(map(self._holds, parts))
            case {"Fn::Equals": [left, right]}:
                return self._value(left) == self._value(right)
        raise AssertionError(f"unknown condition {condition}")

    def _value(self, node: Any) -> Any:
        match node:
            case {"Ref": "AWS::NoValue"}:
                return _ABSENT
            case {"Ref": name}:
                return self._refs.get(name, f"<{name}>")
            case {"Fn::GetAtt": [name, attribute]}:
                return f"<{name}.{attribute}>"
            case {"Fn::If": [condition, yes, no]}:
                return self._value(yes if self._holds(condition) else no)
            case {"Fn::Join": [separator, parts]}:
                return separator.join(self._value(parts))
            case {"Fn::Split": [separator, text]}:
                return self._value(text).split(separator)
            case {"Fn::Select": [index, parts]}:
                return self._value(parts)[int(index)]
            case {"Fn::Sub": [text, names]}:
                return self._substitute(text, {name: self._value(value) for name, value in names.items()})
            case {"Fn::Sub": text}:
                return self._substitute(text, {})
            case dict():
                values = {key: self._value(value) for key, value in node.items()}
                assert not any(key.startswith("Fn::") for key in values), f"unknown function in {node}"
                return {key: value for key, value in values.items() if value is not _ABSENT}
            case list():
                return [value for value in map(self._value, node) if value is not _ABSENT]
        return node

    def _substitute(self, text: str, names: dict[str, Any]) -> str:
        known = {**self._refs, **names}
        return re.sub(r"\$\{([^}]+)\}", lambda found: str(known.get(found[1], f"<{found[1]}>")), text)
