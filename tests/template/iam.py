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
    unknown = statement.keys() - {"Sid", "Effect", "Action", "Resource", "Condition"}
    assert not unknown, f"not evaluated here: {unknown}"
    return (
        any(fnmatch.fnmatchcase(action.lower(), pattern.lower()) for pattern in as_list(statement["Action"]))
        and any(fnmatch.fnmatchcase(resource, pattern) for pattern in as_list(statement["Resource"]))
        and all(_holds(operator, keys, context) for operator, keys in statement.get("Condition", {}).items())
    )


def _holds(operator: str, keys: dict[str, str], context: dict[str, str]) -> bool:
    test = {"StringEquals": str.__eq__, "ArnLike": fnmatch.fnmatchcase}[operator]
    actual = {f"iam:{key}".lower(): value for key, value in context.items()}
    # A key that the request does not carry does not match.
    return all(key.lower() in actual and test(actual[key.lower()], wanted) for key, wanted in keys.items())
