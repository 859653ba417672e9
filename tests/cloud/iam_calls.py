"""IAM calls that ministack lacks, or lets through where AWS would refuse.

- SetDefaultPolicyVersion: how an adopted policy gets its own version back.
- UpdateGroup: how somebody renames a group by hand.
- CreatePolicy: a policy's name is taken whatever its path and its letters' case.
"""

from typing import Any

from ministack.services import iam

from tests.cloud.authorization import param

Params = dict[str, Any]
Answer = tuple[int, dict[str, str], bytes]


def install() -> None:
    """Put the calls in place."""
    iam._IAM_HANDLERS["SetDefaultPolicyVersion"] = _set_default_policy_version
    iam._IAM_HANDLERS["UpdateGroup"] = _update_group
    iam._IAM_HANDLERS["CreatePolicy"] = _create_policy


def _set_default_policy_version(params: Params) -> Answer:
    policy = iam._policies.get(param(params, "PolicyArn"))
    wanted = param(params, "VersionId")
    if policy is None or wanted not in policy["Versions"]:
        return iam._error(404, "NoSuchEntity", f"Policy version {wanted} does not exist or is not attachable.")
    for name, version in policy["Versions"].items():
        version["IsDefaultVersion"] = name == wanted
    policy["DefaultVersionId"] = wanted
    return iam._xml(200, "SetDefaultPolicyVersionResponse", "")


def _update_group(params: Params) -> Answer:
    old = param(params, "GroupName")
    group = iam._groups.get(old)
    if group is None:
        return iam._error(404, "NoSuchEntity", f"The group with name {old} cannot be found.")
    name = param(params, "NewGroupName") or old
    if name != old and name in iam._groups:
        return iam._error(409, "EntityAlreadyExists", f"Group with name {name} already exists.")
    path = param(params, "NewPath") or group["Path"]
    account = group["Arn"].split(":")[4]
    moved = {**group, "GroupName": name, "Path": path, "Arn": f"arn:aws:iam::{account}:group{path}{name}"}
    inline = iam._group_inline_policies.get(old)
    iam._groups.pop(old)
    iam._group_inline_policies.pop(old, None)
    iam._groups[name] = moved
    if inline is not None:
        iam._group_inline_policies[name] = inline
    return iam._xml(200, "UpdateGroupResponse", "")


def _create_policy(params: Params) -> Answer:
    name = param(params, "PolicyName")
    if name.lower() in {policy["PolicyName"].lower() for policy in iam._policies.values()}:
        message = f"A policy called {name} already exists. Duplicate names are not allowed."
        return iam._error(409, "EntityAlreadyExists", message)
    return iam._create_policy(params)
