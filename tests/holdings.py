"""Everything that an account's IAM holds, as one value: equal before and after means that nothing was changed."""

from typing import Any

from tests.cloud.client import Cloud


def holdings(cloud: Cloud, account: str) -> dict[str, Any]:
    """Roles, policies and groups by ARN, with all that hangs on them."""
    iam = cloud.admin(account).client("iam")
    found = {role["Arn"]: _role(iam, role["RoleName"]) for role in iam.list_roles()["Roles"]}
    found |= {policy["Arn"]: _policy(iam, policy["Arn"]) for policy in iam.list_policies(Scope="Local")["Policies"]}
    return found | {group["Arn"]: _group(iam, group["GroupName"]) for group in iam.list_groups()["Groups"]}


def _role(iam: Any, name: str) -> dict[str, Any]:
    role = iam.get_role(RoleName=name)["Role"]
    inline = iam.list_role_policies(RoleName=name)["PolicyNames"]
    return {
        "id": role["RoleId"],
        "trust": role["AssumeRolePolicyDocument"],
        "session": role["MaxSessionDuration"],
        "boundary": role.get("PermissionsBoundary", {}).get("PermissionsBoundaryArn"),
        "tags": _tags(role),
        "attached": _arns(iam.list_attached_role_policies(RoleName=name)),
        "inline": {p: iam.get_role_policy(RoleName=name, PolicyName=p)["PolicyDocument"] for p in inline},
    }


def _policy(iam: Any, arn: str) -> dict[str, Any]:
    policy = iam.get_policy(PolicyArn=arn)["Policy"]
    versions = [version["VersionId"] for version in iam.list_policy_versions(PolicyArn=arn)["Versions"]]
    return {
        "id": policy["PolicyId"],
        "default": policy["DefaultVersionId"],
        "tags": _tags(policy),
        "versions": {
            v: iam.get_policy_version(PolicyArn=arn, VersionId=v)["PolicyVersion"]["Document"] for v in versions
        },
    }


def _group(iam: Any, name: str) -> dict[str, Any]:
    group = iam.get_group(GroupName=name)
    inline = iam.list_group_policies(GroupName=name)["PolicyNames"]
    return {
        "id": group["Group"]["GroupId"],
        "users": sorted(user["UserName"] for user in group["Users"]),
        "attached": _arns(iam.list_attached_group_policies(GroupName=name)),
        "inline": {p: iam.get_group_policy(GroupName=name, PolicyName=p)["PolicyDocument"] for p in inline},
    }


def _tags(entity: dict[str, Any]) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in entity.get("Tags", [])}


def _arns(answer: dict[str, Any]) -> list[str]:
    return sorted(policy["PolicyArn"] for policy in answer["AttachedPolicies"])
