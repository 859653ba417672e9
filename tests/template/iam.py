"""What a policy document of the template allows: IAM's evaluation of one identity policy, as far as ours go."""

import fnmatch
from typing import Any


def allows(document: dict[str, Any], action: str, resource: str, **context: str) -> bool:
    """Whether the document allows the call. `context` holds condition keys of iam:, such as PolicyARN."""
    matching = [statement for statement in document["Statement"] if _matches(statement, action, resource, context)]
    effects = {statement["Effect"] for statement in matching}
    assert effects <= {"Allow", "Deny"}
    return "Allow" in effects and "Deny" not in effects


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _matches(statement: dict[str, Any], action: str, resource: str, context: dict[str, str]) -> bool:
    # A member this does not know could change the meaning, so it is an error and not a guess.
    unknown = statement.keys() - {"Sid", "Effect", "Action", "Resource", "NotResource", "Condition"}
    assert not unknown, f"not evaluated here: {unknown}"
    return (
        any(fnmatch.fnmatchcase(action.lower(), pattern.lower()) for pattern in as_list(statement["Action"]))
        and _concerns(statement, resource)
        and all(_holds(operator, keys, context) for operator, keys in statement.get("Condition", {}).items())
    )


def _concerns(statement: dict[str, Any], resource: str) -> bool:
    assert ("Resource" in statement) != ("NotResource" in statement), "IAM takes exactly one of them"
    patterns = as_list(statement.get("Resource", statement.get("NotResource")))
    named = any(fnmatch.fnmatchcase(resource, pattern) for pattern in patterns)
    return named == ("Resource" in statement)


def _holds(operator: str, keys: dict[str, Any], context: dict[str, str]) -> bool:
    # IAM's ArnEquals takes wildcards, too.
    test = {"StringEquals": str.__eq__, "ArnEquals": fnmatch.fnmatchcase, "ArnLike": fnmatch.fnmatchcase}[operator]
    actual = {f"iam:{key}".lower(): value for key, value in context.items()}
    # A key that the request does not carry does not match; of several values, one is enough.
    return all(
        key.lower() in actual and any(test(actual[key.lower()], value) for value in as_list(wanted))
        for key, wanted in keys.items()
    )
