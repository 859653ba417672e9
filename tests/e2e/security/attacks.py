"""What somebody with the provisioner's code would try in IAM, as data: calls to be refused, with their counterparts.

Words in braces are names and ARNs of the Scene in which it is tried. Nothing may be refused for a reason other than
permissions, so each attack has a counterpart that must succeed: the same call within the fence, or, where the fence
admits no such call at all, the very same call by the account's administrator.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tests import people

Members = Mapping[str, Any]

ADMINISTRATOR = "arn:aws:iam::aws:policy/AdministratorAccess"
ANYTHING = json.dumps({"Version": "2012-10-17", "Statement": [people.allow("*")]})
NOTHING = json.dumps({"Version": "2012-10-17", "Statement": [people.allow("s3:GetObject", "arn:aws:s3:::none/*")]})
TRUSTS_ANYBODY = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": "*"}}],
    }
)
TAGS = [{"Key": "sagemaker-external:owner", "Value": "me"}]


@dataclass(frozen=True)
class Attack:
    about: str
    # The boto3 method of IAM.
    call: str
    refused: Members
    # The same call within the fence. None: there is none, and the administrator's call is the counterpart.
    allowed: Members | None = None
    # What the administrator's call has instead, where the attack's own would change what other tests rely on.
    by_administrator: Members | None = None

    @property
    def name(self) -> str:
        return f"{self.call}-{self.about}".replace("_", "-").replace(" ", "-")


def _role(name: str, **members: Any) -> Members:
    return {"RoleName": name, "AssumeRolePolicyDocument": TRUSTS_ANYBODY, **members}


_INSIDE = _role("{new}", Path="{path}", PermissionsBoundary="{boundary}")
_ON_INSIDE_ROLE = {"RoleName": "{inside_role}"}
_ON_OUTSIDE_ROLE = {"RoleName": "{outside_role}"}
_ON_PROVISIONER = {"RoleName": "{provisioner}"}
_ON_INVOKER = {"RoleName": "{invoker}"}
_ATTACHED = {"RoleName": "{inside_role}", "PolicyArn": "{loose_inside_policy}"}
_INLINE = {"PolicyName": "More", "PolicyDocument": ANYTHING}
_VERSION = {"PolicyDocument": ANYTHING, "SetAsDefault": True}
_USER = {"UserName": "{user}"}

ROLES = [
    Attack("without the boundary", "create_role", _role("{new}", Path="{path}"), _INSIDE),
    Attack(
        "under a boundary of ones own",
        "create_role",
        _role("{new}", Path="{path}", PermissionsBoundary="{inside_policy}"),
        _INSIDE,
    ),
    Attack(
        "under AdministratorAccess as boundary",
        "create_role",
        _role("{new}", Path="{path}", PermissionsBoundary=ADMINISTRATOR),
        _INSIDE,
    ),
    Attack("at the root", "create_role", _role("{new}", PermissionsBoundary="{boundary}"), _INSIDE),
    Attack(
        "in a path that begins alike",
        "create_role",
        _role("{new}", Path="{alike}", PermissionsBoundary="{boundary}"),
        _INSIDE,
    ),
    Attack(
        "in a path that ends alike",
        "create_role",
        _role("{new}", Path="/x{path}", PermissionsBoundary="{boundary}"),
        _INSIDE,
    ),
    Attack("AdministratorAccess", "attach_role_policy", {**_ON_INSIDE_ROLE, "PolicyArn": ADMINISTRATOR}, _ATTACHED),
    Attack("from outside", "attach_role_policy", {**_ON_INSIDE_ROLE, "PolicyArn": "{outside_policy}"}, _ATTACHED),
    Attack(
        "to a role without boundary",
        "attach_role_policy",
        {"RoleName": "{bare_role}", "PolicyArn": "{loose_inside_policy}"},
        _ATTACHED,
    ),
    Attack(
        "to a role outside", "attach_role_policy", {**_ON_OUTSIDE_ROLE, "PolicyArn": "{loose_inside_policy}"}, _ATTACHED
    ),
    Attack("to itself", "attach_role_policy", {**_ON_PROVISIONER, "PolicyArn": "{loose_inside_policy}"}, _ATTACHED),
    Attack(
        "AdministratorAccess to itself",
        "attach_role_policy",
        {**_ON_PROVISIONER, "PolicyArn": ADMINISTRATOR},
        _ATTACHED,
    ),
    Attack(
        "of others from an inside role",
        "detach_role_policy",
        {**_ON_INSIDE_ROLE, "PolicyArn": "{outside_policy}"},
        {**_ON_INSIDE_ROLE, "PolicyArn": "{inside_policy}"},
    ),
    Attack(
        "its own fence",
        "detach_role_policy",
        {**_ON_PROVISIONER, "PolicyArn": "{fence}"},
        {**_ON_INSIDE_ROLE, "PolicyArn": "{inside_policy}"},
    ),
    Attack("on an inside role", "put_role_policy", {**_ON_INSIDE_ROLE, **_INLINE}),
    Attack("on an outside role", "put_role_policy", {**_ON_OUTSIDE_ROLE, **_INLINE}),
    Attack(
        "on itself", "put_role_policy", {**_ON_PROVISIONER, **_INLINE}, by_administrator={**_ON_INSIDE_ROLE, **_INLINE}
    ),
    Attack(
        "on the invoker",
        "put_role_policy",
        {**_ON_INVOKER, **_INLINE},
        by_administrator={**_ON_INSIDE_ROLE, **_INLINE},
    ),
    Attack("from an inside role", "delete_role_permissions_boundary", _ON_INSIDE_ROLE),
    Attack("from an outside role", "delete_role_permissions_boundary", _ON_OUTSIDE_ROLE),
    Attack(
        "a wide one",
        "put_role_permissions_boundary",
        {**_ON_INSIDE_ROLE, "PermissionsBoundary": "{inside_policy}"},
        {**_ON_INSIDE_ROLE, "PermissionsBoundary": "{boundary}"},
    ),
    Attack(
        "on an outside role",
        "put_role_permissions_boundary",
        {**_ON_OUTSIDE_ROLE, "PermissionsBoundary": "{boundary}"},
        {**_ON_INSIDE_ROLE, "PermissionsBoundary": "{boundary}"},
    ),
    Attack(
        "of an outside role",
        "update_assume_role_policy",
        {**_ON_OUTSIDE_ROLE, "PolicyDocument": TRUSTS_ANYBODY},
        {**_ON_INSIDE_ROLE, "PolicyDocument": TRUSTS_ANYBODY},
    ),
    Attack(
        "of itself",
        "update_assume_role_policy",
        {**_ON_PROVISIONER, "PolicyDocument": TRUSTS_ANYBODY},
        {**_ON_INSIDE_ROLE, "PolicyDocument": TRUSTS_ANYBODY},
    ),
    Attack(
        "of the invoker",
        "update_assume_role_policy",
        {**_ON_INVOKER, "PolicyDocument": TRUSTS_ANYBODY},
        {**_ON_INSIDE_ROLE, "PolicyDocument": TRUSTS_ANYBODY},
    ),
    Attack(
        "of an outside role",
        "update_role",
        {**_ON_OUTSIDE_ROLE, "MaxSessionDuration": 43200},
        {**_ON_INSIDE_ROLE, "MaxSessionDuration": 43200},
    ),
    Attack("of an outside role", "tag_role", {**_ON_OUTSIDE_ROLE, "Tags": TAGS}, {**_ON_INSIDE_ROLE, "Tags": TAGS}),
    Attack(
        "of an outside role",
        "untag_role",
        {**_ON_OUTSIDE_ROLE, "TagKeys": ["team"]},
        {**_ON_INSIDE_ROLE, "TagKeys": ["team"]},
    ),
    Attack("outside", "delete_role", {"RoleName": "{empty_outside_role}"}, {"RoleName": "{empty_inside_role}"}),
    Attack(
        "of an outside role",
        "delete_role_policy",
        {**_ON_OUTSIDE_ROLE, "PolicyName": "Own"},
        {**_ON_INSIDE_ROLE, "PolicyName": "Own"},
    ),
    Attack(
        "a service linked one",
        "create_service_linked_role",
        {"AWSServiceName": "sagemaker.amazonaws.com", "CustomSuffix": "{new}"},
    ),
    Attack("for an inside role", "create_instance_profile", {"InstanceProfileName": "{new}", "Path": "{path}"}),
    Attack(
        "an inside role",
        "add_role_to_instance_profile",
        {"InstanceProfileName": "{profile}", "RoleName": "{inside_role}"},
    ),
]

POLICIES = [
    Attack(
        "at the root",
        "create_policy",
        {"PolicyName": "{new}", "PolicyDocument": ANYTHING},
        {"PolicyName": "{new}", "PolicyDocument": ANYTHING, "Path": "{path}"},
    ),
    Attack(
        "in a path that begins alike",
        "create_policy",
        {"PolicyName": "{new}", "PolicyDocument": ANYTHING, "Path": "{alike}"},
        {"PolicyName": "{new}", "PolicyDocument": ANYTHING, "Path": "{path}"},
    ),
    *(
        Attack(
            f"of {whose.strip('{}')}",
            call,
            {"PolicyArn": whose, **members},
            {"PolicyArn": "{loose_inside_policy}", **members},
        )
        for whose in ("{boundary}", "{fence}", "{loose_outside_policy}")
        for call, members in {
            "create_policy_version": _VERSION,
            "set_default_policy_version": {"VersionId": "v1"},
            "delete_policy_version": {"VersionId": "v1"},
            "tag_policy": {"Tags": TAGS},
            "untag_policy": {"TagKeys": ["team"]},
        }.items()
    ),
    *(
        Attack(
            whose.strip("{}"),
            "delete_policy",
            {"PolicyArn": whose},
            {"PolicyArn": "{single_inside_policy}"},
        )
        for whose in ("{boundary}", "{fence}", "{loose_outside_policy}")
    ),
]

GROUPS = [
    Attack("at the root", "create_group", {"GroupName": "{new}"}, {"GroupName": "{new}", "Path": "{path}"}),
    Attack(
        "on an outside group",
        "put_group_policy",
        {"GroupName": "{outside_group}", **_INLINE},
        {"GroupName": "{inside_group}", **_INLINE},
    ),
    Attack(
        "of an outside group",
        "delete_group_policy",
        {"GroupName": "{outside_group}", "PolicyName": "Own"},
        {"GroupName": "{inside_group}", "PolicyName": "Own"},
    ),
    Attack(
        "an outside group",
        "add_user_to_group",
        {"GroupName": "{outside_group}", "UserName": "{other_user}"},
        {"GroupName": "{inside_group}", "UserName": "{other_user}"},
    ),
    Attack(
        "an outside group",
        "remove_user_from_group",
        {"GroupName": "{outside_group}", **_USER},
        {"GroupName": "{inside_group}", **_USER},
    ),
    Attack("outside", "delete_group", {"GroupName": "{empty_outside_group}"}, {"GroupName": "{empty_inside_group}"}),
    Attack(
        "AdministratorAccess to an inside group",
        "attach_group_policy",
        {"GroupName": "{inside_group}", "PolicyArn": ADMINISTRATOR},
    ),
    Attack(
        "its own policy to an inside group",
        "attach_group_policy",
        {"GroupName": "{inside_group}", "PolicyArn": "{inside_policy}"},
    ),
    Attack(
        "an outside group into the path", "update_group", {"GroupName": "{empty_outside_group}", "NewPath": "{path}"}
    ),
    Attack("an inside group out of the path", "update_group", {"GroupName": "{empty_inside_group}", "NewPath": "/"}),
]

USERS = [
    Attack("at the root", "create_user", {"UserName": "{new}"}),
    Attack(
        "in the path under the boundary",
        "create_user",
        {"UserName": "{new}", "Path": "{path}", "PermissionsBoundary": "{boundary}"},
    ),
    Attack("one", "delete_user", {"UserName": "{other_user}"}),
    Attack("anything", "put_user_policy", {**_USER, **_INLINE}),
    Attack("AdministratorAccess", "attach_user_policy", {**_USER, "PolicyArn": ADMINISTRATOR}),
    Attack("its own policy", "attach_user_policy", {**_USER, "PolicyArn": "{inside_policy}"}),
    Attack("for a user", "create_access_key", _USER),
    Attack("of a user", "update_access_key", {**_USER, "AccessKeyId": "{key}", "Status": "Inactive"}),
    Attack("of a user", "delete_access_key", {**_USER, "AccessKeyId": "{key}"}),
    Attack("for a user", "create_login_profile", {**_USER, "Password": "Long-enough-1"}),
    Attack("on a user", "put_user_permissions_boundary", {**_USER, "PermissionsBoundary": "{boundary}"}),
    Attack("of a user", "delete_user_permissions_boundary", _USER),
    Attack("of a user", "tag_user", {**_USER, "Tags": TAGS}),
]

ACCOUNT = [
    Attack("to log in by", "create_saml_provider", {"Name": "{new}", "SAMLMetadataDocument": "x" * 1000}),
    Attack(
        "to log in by",
        "create_open_id_connect_provider",
        {"Url": "https://{new}.example", "ThumbprintList": ["0" * 40]},
    ),
    Attack("of the account", "update_account_password_policy", {"MinimumPasswordLength": 6}),
    Attack("of the account", "create_account_alias", {"AccountAlias": "{new}"}),
]

# Reading is how an attack begins.
READS = [
    Attack("everything", "get_account_authorization_details", {}),
    Attack("all", "list_users", {}),
    Attack("all", "list_roles", {}),
    Attack("inline of an outside role", "get_role_policy", {**_ON_OUTSIDE_ROLE, "PolicyName": "Own"}),
    Attack(
        "outside",
        "get_policy_version",
        {"PolicyArn": "{outside_policy}", "VersionId": "v1"},
        {"PolicyArn": "{inside_policy}", "VersionId": "v1"},
    ),
    Attack("of a user", "list_access_keys", _USER),
]

ATTACKS = [*ROLES, *POLICIES, *GROUPS, *USERS, *ACCOUNT, *READS]
