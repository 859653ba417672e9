"""The rules between parameters: what is refused before anything is made, and what it says."""

import json
import re

import pytest

from tests.template.expansion import PSEUDO, source
from tests.template.rules import FUNCTIONS, refusal
from tests.template.sides import BOTH, CHILD, GRANTS, PARENT, PARENT_ROLE, POOL, SEVERAL

ARN = "arn:aws:iam::111122223333"
OWN = PSEUDO["AWS::AccountId"]
OF_THE_ROLE = {"InferenceComponentNames": "adapter-a", "AsyncInvocations": "true", "CallerAttribution": "true"}
OF_THE_API = {
    "CallerAttribution": "true",
    "CognitoUserPoolArn": POOL,
    "ApiKeyRequired": "true",
    "UsagePlanRateLimit": "5",
    "UsagePlanBurstLimit": "7",
    "CredentialReuseSeconds": "900",
    "ThrottlingRateLimit": "50",
    "ThrottlingBurstLimit": "70",
    "ReservedConcurrency": "20",
}
FOR_OTHERS = {"GrantableAccountIds": OWN, "GroupsForOtherStacks": "true", "AllowAnyEndpoint": "true"}


@pytest.mark.parametrize(
    "given",
    [
        PARENT,
        {"Side": "Parent", "EndpointNames": "a,b", "TrustedPrincipalArns": f"{ARN}:role/a", "ExternalId": "tenant-7"},
        CHILD,
        {**CHILD, "ExternalId": "tenant-7", "EndpointRegion": "eu-west-1", "UserNames": "alice,bob"},
        {**SEVERAL, "UserNames": "alice"},
        BOTH,
        {**BOTH, "TrustedAccountIds": "555566667777", "TrustedPrincipalArns": f"{ARN}:user/a", "UserNames": "alice"},
        {**PARENT, **OF_THE_ROLE},
        {**CHILD, **OF_THE_API},
        {**BOTH, **OF_THE_ROLE, **OF_THE_API},
        {**SEVERAL, **OF_THE_API},
        {**PARENT, **FOR_OTHERS},
        {**CHILD, **FOR_OTHERS, "CreateGroup": "false"},
        {**PARENT, "CreateGroup": "false"},
        # A role of this account may be trusted by name.
        {**PARENT, "TrustedPrincipalArns": f"arn:aws:iam::{OWN}:role/a"},
    ],
)
def test_rules_accept_what_makes_sense(given):
    assert refusal(**given) is None


@pytest.mark.parametrize(
    ("given", "to_set"),
    [
        ({"Side": "Parent"}, "set EndpointNames"),
        ({"Side": "Parent", "TrustedAccountIds": "555566667777"}, "set EndpointNames"),
        ({"Side": "Parent", "EndpointNames": "a"}, "set TrustedAccountIds"),
        ({**PARENT, "RoleArn": PARENT_ROLE}, "leave RoleArn"),
        ({**PARENT, "Grants": GRANTS}, "leave RoleArn and Grants"),
        ({**PARENT, "UserNames": "alice"}, "leave UserNames"),
        ({"Side": "Child"}, "or Grants when there are several parents"),
        ({"Side": "Child", "EndpointNames": "a"}, "set RoleArn"),
        ({"Side": "Child", "RoleArn": PARENT_ROLE}, "set EndpointNames"),
        ({**CHILD, "TrustedAccountIds": "555566667777"}, "leave TrustedAccountIds"),
        ({**CHILD, "TrustedPrincipalArns": f"{ARN}:role/a"}, "leave TrustedAccountIds and TrustedPrincipalArns"),
        ({**CHILD, "Grants": GRANTS}, "Grants says everything itself: leave RoleArn, EndpointNames"),
        ({**SEVERAL, "RoleArn": PARENT_ROLE}, "Grants says everything itself: leave RoleArn"),
        ({**SEVERAL, "EndpointNames": "iris"}, "Grants says everything itself: leave RoleArn, EndpointNames"),
        ({**SEVERAL, "ExternalId": "tenant-7"}, "Grants says everything itself"),
        ({**SEVERAL, "EndpointRegion": "eu-west-1"}, "Grants says everything itself"),
        ({}, "set EndpointNames"),
        ({**BOTH, "RoleArn": PARENT_ROLE}, "leave RoleArn"),
        ({**BOTH, "Grants": GRANTS}, "leave RoleArn and Grants"),
        ({**PARENT, "CognitoUserPoolArn": POOL}, "leave CognitoUserPoolArn"),
        ({**PARENT, "ApiKeyRequired": "true"}, "leave CognitoUserPoolArn, ApiKeyRequired"),
        ({**PARENT, "CredentialReuseSeconds": "900"}, "ReservedConcurrency, CredentialReuseSeconds, XRayTracing"),
        ({**PARENT, "XRayTracing": "true"}, "leave CognitoUserPoolArn"),
        ({**PARENT, "AccessLogs": "On"}, "leave CognitoUserPoolArn"),
        ({**PARENT, "ReservedConcurrency": "20"}, "leave CognitoUserPoolArn"),
        ({**PARENT, "TrustedAccountIds": OWN}, "name roles or users of it in TrustedPrincipalArns"),
        ({**PARENT, "TrustedAccountIds": f"555566667777,{OWN}"}, "TrustedAccountIds must not hold this account's own"),
        ({**BOTH, "TrustedAccountIds": OWN}, "For a trial in one account leave it empty and set Side to Both"),
        ({**CHILD, "CreateGroup": "false", "UserNames": "alice"}, "leave UserNames empty, or set CreateGroup to true"),
        ({**BOTH, "CreateGroup": "false", "UserNames": "alice"}, "leave UserNames empty, or set CreateGroup to true"),
        ({**PARENT, "UsagePlanRateLimit": "5"}, "set ApiKeyRequired to true"),
        ({**CHILD, "AsyncInvocations": "true"}, "leave InferenceComponentNames and AsyncInvocations"),
        ({**CHILD, "InferenceComponentNames": "adapter-a"}, "leave InferenceComponentNames and AsyncInvocations"),
        ({**CHILD, "UsagePlanRateLimit": "5"}, "set ApiKeyRequired to true"),
        ({**BOTH, "UsagePlanBurstLimit": "5"}, "set ApiKeyRequired to true"),
    ],
)
def test_rules_refuse_the_rest_and_say_what_to_set(given, to_set):
    assert to_set in (refusal(**given) or "")


def test_rules_refer_to_parameters_and_to_the_account():
    """AWS's guide does not say whether a rule may refer to a pseudo parameter, and this was not tried on AWS. Public
    templates do (AWS::Region, AWS::AccountId), and so does AWS's language server in its tests. Where it does not
    hold, validate-template says so, and the provisioner refuses the same id later.
    """
    referred = set(re.findall(r'"Ref": "([^"]+)"', json.dumps(source()["Rules"])))
    assert referred - source()["Parameters"].keys() == {"AWS::AccountId"}


def test_rules_use_only_functions_that_cloudformation_takes_there():
    used = set(re.findall(r'"(Ref|Fn::[A-Za-z]+)"', json.dumps(source()["Rules"])))
    assert used <= FUNCTIONS
