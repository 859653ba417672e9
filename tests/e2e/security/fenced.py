"""Where attacks take place: a stack, somebody with its provisioner's credentials, and entities for them to try on."""

import itertools
import json
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from tests.cloud.client import Caller
from tests.deploy import Stack
from tests.e2e.security.attacks import ANYTHING, NOTHING, TRUSTS_ANYBODY, Members
from tests.e2e.world import PATH

# The accounts of the two stacks.
PLAIN, ADOPTING = "171717171717", "181818181818"
# Whom other stacks in the first may grant to.
FRIEND = "191919191919"
# The AdoptArns of the second.
ROLE, POLICY, _ = NAMED = [f"arn:aws:iam::{ADOPTING}:{kind}/Named" for kind in ("role", "policy", "group")]
_TEAM = [{"Key": "team", "Value": "ml"}]
_NUMBERS = itertools.count()


def trust(principal: str) -> str:
    """The trust policy of a role that this principal may assume."""
    statement = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": principal}}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


@dataclass
class Fenced:
    """A deployed stack, and what is asked of it again and again."""

    stack: Stack

    @cached_property
    def iam(self) -> Any:
        """As the account's administrator."""
        return self.stack.admin.client("iam")

    @cached_property
    def attacker(self) -> Caller:
        """Somebody with the provisioner's credentials. The local cloud lets an administrator stand in for Lambda."""
        role = f"arn:aws:iam::{self.stack.account}:role/{self.ids['provisioner']}"
        return self.stack.admin.assume(role, RoleSessionName="attacker")

    @cached_property
    def attackers_iam(self) -> Any:
        return self.attacker.client("iam")

    @cached_property
    def ids(self) -> dict[str, str]:
        resources = {
            "boundary": "Boundary",
            "fence": "ProvisionerFence",
            "provisioner": "ProvisionerRole",
            "invoker": "InvokerRole",
        }
        return {word: self.stack.physical_id(logical) for word, logical in resources.items()}

    def everything(self) -> dict[str, Any]:
        """All that the account's IAM holds."""
        details = self.iam.get_account_authorization_details()
        return {kind: details[kind] for kind in ("UserDetailList", "GroupDetailList", "RoleDetailList", "Policies")}


class Scene(dict[str, str]):
    """The words in an attack's braces. Whatever is named is made, by the administrator, the first time it is named.

    What is "inside" lies in the provisioner's path, what is "outside" at the root. Roles lie under the boundary, so
    that outside it is the path alone that refuses; only the "bare" one, inside, has none. An "empty" role or group has
    nothing on it; the others have an inline policy Own, policies of both sides, and members. Policies have a version
    v1 that is not the default, except the "single" one; the "loose" ones are attached to nothing.
    """

    def __init__(self, fenced: Fenced) -> None:
        self._fenced, self._number = fenced, next(_NUMBERS)
        alike = PATH.replace("external/", "externals/")
        super().__init__(fenced.ids, path=PATH, alike=alike, new=f"new{self._number}")

    def fill(self, members: Members) -> dict[str, Any]:
        # Documents are JSON, whose braces are their own.
        return {
            name: value.format_map(self) if isinstance(value, str) and value[:2] != '{"' else value
            for name, value in members.items()
        }

    def __missing__(self, word: str) -> str:
        kind = word.rsplit("_", 1)[-1]
        name = f"{word}{self._number}".replace("_", "-")
        self[word] = getattr(self, f"_{kind}")(word, name, PATH if "inside" in word else "/")
        return self[word]

    def _role(self, word: str, name: str, path: str) -> str:
        iam = self._fenced.iam
        inside = PATH if word == "bare_role" else path
        under = {} if word == "bare_role" else {"PermissionsBoundary": self["boundary"]}
        iam.create_role(RoleName=name, Path=inside, AssumeRolePolicyDocument=TRUSTS_ANYBODY, Tags=_TEAM, **under)
        if word in ("inside_role", "outside_role"):
            for policy in ("inside_policy", "outside_policy"):
                iam.attach_role_policy(RoleName=name, PolicyArn=self[policy])
            iam.put_role_policy(RoleName=name, PolicyName="Own", PolicyDocument=NOTHING)
        return name

    def _policy(self, word: str, name: str, path: str) -> str:
        iam = self._fenced.iam
        made = iam.create_policy(PolicyName=name, Path=path, PolicyDocument=NOTHING, Tags=_TEAM)["Policy"]["Arn"]
        if not word.startswith("single"):
            iam.create_policy_version(PolicyArn=made, PolicyDocument=ANYTHING, SetAsDefault=True)
        return made

    def _group(self, word: str, name: str, path: str) -> str:
        iam = self._fenced.iam
        iam.create_group(GroupName=name, Path=path)
        if not word.startswith("empty"):
            iam.put_group_policy(GroupName=name, PolicyName="Own", PolicyDocument=NOTHING)
            iam.add_user_to_group(GroupName=name, UserName=self["user"])
        return name

    def _user(self, word: str, name: str, path: str) -> str:
        self._fenced.iam.create_user(UserName=name, PermissionsBoundary=self["boundary"])
        return name

    def _key(self, word: str, name: str, path: str) -> str:
        return self._fenced.iam.create_access_key(UserName=self["user"])["AccessKey"]["AccessKeyId"]

    def _profile(self, word: str, name: str, path: str) -> str:
        self._fenced.iam.create_instance_profile(InstanceProfileName=name)
        return name
