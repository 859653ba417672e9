"""IAM users for the demo and the tests, made as an account's administrator makes them."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from tests.cloud.client import Caller, Cloud

Statement = Mapping[str, Any]

# Neither the parent nor the child: an account that nobody trusts.
STRANGER = "999988887777"


def allow(action: str, resource: str | Sequence[str] = "*") -> Statement:
    return {"Effect": "Allow", "Action": action, "Resource": resource}


def user(cloud: Cloud, account: str, name: str, *statements: Statement) -> Caller:
    """A new user with access keys, and with an inline policy of these statements if there are any."""
    iam = cloud.admin(account).client("iam")
    iam.create_user(UserName=name)
    if statements:
        policy = {"Version": "2012-10-17", "Statement": list(statements)}
        iam.put_user_policy(UserName=name, PolicyName="GivenByAdministrator", PolicyDocument=json.dumps(policy))
    keys = iam.create_access_key(UserName=name)["AccessKey"]
    return Caller(cloud, keys["AccessKeyId"], keys["SecretAccessKey"])


def role(cloud: Cloud, account: str, name: str, *statements: Statement) -> str:
    """The ARN of a new role that its account's users may assume, with an inline policy of these statements."""
    iam = cloud.admin(account).client("iam")
    trusts = {**allow("sts:AssumeRole"), "Principal": {"AWS": f"arn:aws:iam::{account}:root"}}
    del trusts["Resource"]
    trust = json.dumps({"Version": "2012-10-17", "Statement": [trusts]})
    arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust)["Role"]["Arn"]
    policy = {"Version": "2012-10-17", "Statement": list(statements)}
    iam.put_role_policy(RoleName=name, PolicyName="GivenByAdministrator", PolicyDocument=json.dumps(policy))
    return arn


def entities(cloud: Cloud, account: str, path: str = "/") -> list[str]:
    """The ARNs of every role, policy and group in an account, or below a path of it."""
    iam = cloud.admin(account).client("iam")
    roles = iam.list_roles(PathPrefix=path)["Roles"]
    policies = iam.list_policies(Scope="Local", PathPrefix=path)["Policies"]
    groups = iam.list_groups(PathPrefix=path)["Groups"]
    return sorted(entity["Arn"] for entity in (*roles, *policies, *groups))
