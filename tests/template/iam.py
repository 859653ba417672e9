"""What policy documents allow: IAM's evaluation within one account, as far as the template's documents need it."""

import fnmatch
from typing import Any

from tests.template.expansion import Stack


def rights_of(stack: Stack, role: str) -> dict[str, Any]:
    """All that this role of the stack may do: its inline policies, and those that are resources of their own."""
    apart = [*stack.of_type("AWS::IAM::ManagedPolicy").values(), *stack.of_type("AWS::IAM::Policy").values()]
    policies = [*stack.properties(role).get("Policies", []), *(p for p in apart if f"<{role}>" in p.get("Roles", []))]
    return {"Statement": [statement for policy in policies for statement in policy["PolicyDocument"]["Statement"]]}


def allows(document: dict[str, Any], action: str, resource: str, **context: str) -> bool:
    """Whether the document allows the call. `context` holds condition keys of iam:, such as PolicyARN."""
    matching = [statement for statement in document["Statement"] if _matches(statement, action, resource, context)]
    effects = {statement["Effect"] for statement in matching}
    assert effects <= {"Allow", "Deny"}
    return "Allow" in effects and "Deny" not in effects


def denies(document: dict[str, Any], action: str, resource: str, **context: str) -> bool:
    """Whether the document refuses the call explicitly, which no Allow of any policy outweighs."""
    return any(
        statement["Effect"] == "Deny" and _matches(statement, action, resource, context)
        for statement in document["Statement"]
    )


def session_may(
    action: str,
    resource: str,
    *,
    role: str,
    session: str,
    identity: dict[str, Any],
    boundary: dict[str, Any],
    resource_policy: dict[str, Any],
) -> bool:
    """Whether a session of a role may make a call on a resource of the role's own account that has a policy itself.

    As IAM's guide has it ("How AWS enforcement code logic evaluates requests"): an explicit Deny anywhere decides. A
    resource policy whose Principal is the session's ARN, or "*" (which a condition on aws:PrincipalArn narrows), allows
    on its own, past the boundary; one that names the role's ARN is limited by the boundary; the rest is the meeting of
    identity policy and boundary.
    """
    if any(denies(document, action, resource) for document in (identity, boundary)):
        return False
    allowing = [
        statement
        for statement in resource_policy["Statement"]
        if statement["Effect"] == "Allow"
        and _matches({**statement, "Condition": {}}, action, resource, {})
        and all(
            operator == "ArnEquals" and keys == {"aws:PrincipalArn": role}
            for operator, keys in statement.get("Condition", {}).items()
        )
    ]
    principals = {principal for statement in allowing for principal in as_list(statement["Principal"]["AWS"])}
    if principals & {session, "*"}:
        return True
    return allows(boundary, action, resource) and (role in principals or allows(identity, action, resource))


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _matches(statement: dict[str, Any], action: str, resource: str, context: dict[str, str]) -> bool:
    # A member this does not know could change the meaning, so it is an error and not a guess.
    known = {"Sid", "Effect", "Principal", "Action", "NotAction", "Resource", "NotResource", "Condition"}
    unknown = statement.keys() - known
    assert not unknown, f"not evaluated here: {unknown}"
    assert ("Action" in statement) != ("NotAction" in statement), "IAM takes exactly one of them"
    patterns = as_list(statement.get("Action", statement.get("NotAction")))
    named = any(fnmatch.fnmatchcase(action.lower(), pattern.lower()) for pattern in patterns)
    return (
        named == ("Action" in statement)
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
