"""CloudFormation's checks of parameter values before anything is made: patterns, then the Rules section."""

import re
from typing import Any

from tests.template.expansion import PSEUDO, is_list, parameters, source

# An account refuses a template whose Rules use any other function, Fn::If and Fn::Join among them.
FUNCTIONS = {"Ref", "Fn::And", "Fn::Or", "Fn::Not", "Fn::Equals", "Fn::Contains", "Fn::EachMemberEquals"}


def refusal(**given: str) -> str | None:
    """Why these parameters are refused, in the template's own words; None when they are accepted."""
    values = parameters(**given)
    for name, value in values.items():
        if not fits(name, value):
            return f"{name} {source()['Parameters'][name].get('ConstraintDescription', 'is not an allowed value')}"
    for rule in source()["Rules"].values():
        if "RuleCondition" not in rule or _evaluate(rule["RuleCondition"], values):
            for assertion in rule["Assertions"]:
                if not _evaluate(assertion["Assert"], values):
                    return assertion["AssertDescription"]
    return None


def fits(name: str, value: str | list[str]) -> bool:
    declared = source()["Parameters"][name]
    members = value if is_list(name) else [value]
    allowed = declared.get("AllowedValues")
    if allowed is not None:
        return all(member in map(str, allowed) for member in members)
    longest = declared.get("MaxLength", 4096)
    return all(re.fullmatch(declared["AllowedPattern"], member) and len(member) <= longest for member in members)


def _evaluate(node: Any, values: dict[str, Any]) -> Any:
    match node:
        case {"Ref": name}:
            return values[name] if name in values else PSEUDO[name]
        case {"Fn::And": parts}:
            return all(_evaluate(part, values) for part in parts)
        case {"Fn::Or": parts}:
            return any(_evaluate(part, values) for part in parts)
        case {"Fn::Not": [part]}:
            return not _evaluate(part, values)
        case {"Fn::Equals": [left, right]}:
            return _evaluate(left, values) == _evaluate(right, values)
        case {"Fn::Contains": [members, value]}:
            return _evaluate(value, values) in _evaluate(members, values)
        case {"Fn::EachMemberEquals": [members, value]}:
            return all(member == _evaluate(value, values) for member in _evaluate(members, values))
        case str():
            return node
    raise AssertionError(f"not a function of the Rules section: {node}")
