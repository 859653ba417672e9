"""How calls are authorised, where ministack is coarser than AWS and the provisioner's fence would not show.

ministack knows the name that an IAM call gives, but not the path of what it names, and none of IAM's own condition
keys. Policies that fence by path or by permissions boundary, as template.yaml has them, need both. And its patterns
treat a line feed as no character: wildcards stop at it, and a last one is overlooked.
"""

import re
from typing import Any

from ministack.core import iam_actions, iam_evaluator
from ministack.services import iam

from tests.cloud import user_names

# Calls whose subject is the group although they name a user as well.
_GROUP_CALLS = ("AddUserToGroup", "RemoveUserFromGroup")
# What a call makes does not exist yet: its ARN comes from the path and the name that it gives.
_MADE = {
    "CreateRole": ("role", "RoleName"),
    "CreateGroup": ("group", "GroupName"),
    "CreatePolicy": ("policy", "PolicyName"),
    "CreateUser": ("user", "UserName"),
}
# Calls that set a boundary; for all others iam:PermissionsBoundary is the one that the role has.
_BOUNDARY_CALLS = ("CreateRole", "PutRolePermissionsBoundary")


def install() -> None:
    """Put the finer authorization in place."""
    _name_what_is_touched()
    _give_condition_keys()
    _let_wildcards_stand_for_any_character()


def _name_what_is_touched() -> None:
    original = iam_actions.extract_resource_arn

    def resource_arn(
        service: str, method: str, path: str, headers: dict, body: bytes, params: dict, region: str, account: str
    ) -> str:
        if service != "iam":
            return original(service, method, path, headers, body, params, region, account)
        return _subject(params, account) or original(service, method, path, headers, body, params, region, account)

    iam_actions.extract_resource_arn = resource_arn


def _subject(params: dict[str, Any], account: str) -> str | None:
    """The ARN that AWS checks. A name that does not exist has no path to go by: None, for ministack's plain ARN."""
    action = param(params, "Action")
    if action in _MADE:
        kind, name = _MADE[action]
        return f"arn:aws:iam::{account}:{kind}{param(params, 'Path') or '/'}{param(params, name)}"
    if role := iam._roles.get(param(params, "RoleName")):
        return role["Arn"]
    if group := iam._groups.get(param(params, "GroupName")):
        return group["Arn"]
    if action in _GROUP_CALLS:
        return f"arn:aws:iam::{account}:group/{param(params, 'GroupName')}"
    if user := iam._users.get(user_names.stored(param(params, "UserName"))):
        return user["Arn"]
    return None


def _give_condition_keys() -> None:
    original = iam_actions.request_tag_context

    def context(service: str, action: str, body: bytes, params: dict[str, Any]) -> dict[str, Any]:
        keys = original(service, action, body, params)
        return {**keys, **_iam_keys(action.split(":", 1)[-1], params)} if service == "iam" else keys

    iam_actions.request_tag_context = context


def _iam_keys(action: str, params: dict[str, Any]) -> dict[str, Any]:
    role = iam._roles.get(param(params, "RoleName")) or {}
    boundary = param(params, "PermissionsBoundary") if action in _BOUNDARY_CALLS else role.get("PermissionsBoundary")
    tags = {f"iam:ResourceTag/{tag['Key']}": tag["Value"] for tag in role.get("Tags") or []}
    keys = {"iam:PermissionsBoundary": boundary, "iam:PolicyARN": param(params, "PolicyArn"), **tags}
    return {name: value for name, value in keys.items() if value}


def _let_wildcards_stand_for_any_character() -> None:
    original = iam_evaluator._fnmatch_compile

    def compiled(pattern: str, ignore_case: bool) -> re.Pattern:
        theirs = original(pattern, ignore_case)
        return re.compile(theirs.pattern.removesuffix("$") + r"\Z", theirs.flags | re.DOTALL)

    iam_evaluator._fnmatch_compile = compiled


def param(params: dict[str, Any], name: str) -> str:
    """One parameter of a call, "" where it is absent; ministack keeps each as a list."""
    value = params.get(name, "")
    return value[0] if isinstance(value, list) else value
