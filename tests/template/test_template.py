"""What a deployment makes: the functions, the custom resources, their order, the outputs. The API: test_api.py."""

import json

import pytest

from tests.template.expansion import PSEUDO, ROOT, Stack, expanded, is_list, source
from tests.template.sides import BOTH, CHILD, GRANTS, PARENT, PARENT_ROLE, SEVERAL, SIDES


@SIDES
def test_functions_are_built_by_cargo_lambda(given):
    stack = Stack(**given, Architecture="arm64", LogLevel="DEBUG")
    for name, function in stack.of_type("AWS::Lambda::Function").items():
        binary = name.removesuffix("Function").lower()
        assert (function["Runtime"], function["Handler"]) == ("provided.al2023", "bootstrap")
        assert function["Architectures"] == ["arm64"]
        assert function["LoggingConfig"]["LogFormat"] == "JSON"
        assert function["LoggingConfig"]["ApplicationLogLevel"] == "DEBUG"
        assert expanded()["Resources"][name]["Metadata"] == {
            "BuildMethod": "rust-cargolambda",
            "BuildProperties": {"Binary": binary},
        }
        assert (ROOT / "functions" / binary / "Cargo.toml").exists()


@SIDES
def test_c39_no_event_outlives_cloudformations_patience(given):
    stack = Stack(**given)
    provisioner, delivery = stack.properties("ProvisionerFunction"), stack.properties("ProvisionerDelivery")
    assert delivery["FunctionName"] == "<ProvisionerFunction>"
    last_end = delivery["MaximumEventAgeInSeconds"] + provisioner["Timeout"]
    customs = [made["Properties"] for made in stack.resources.values() if made["Type"].startswith("Custom::")]
    assert len(customs) == (2 if given in (BOTH, SEVERAL) else 1)
    for custom in customs:
        assert custom["ServiceToken"] == "<ProvisionerFunction.Arn>"
        assert last_end < custom["ServiceTimeout"] <= 3600


def test_parent_passes_its_parameters_to_the_role():
    given = {**PARENT, "TrustedPrincipalArns": "arn:aws:iam::555566667777:role/a", "EndpointNames": "iris,b"}
    fixed = {"ServiceToken": "<ProvisionerFunction.Arn>", "ServiceTimeout": 300}
    assert Stack(**given).properties("ExternalRole") == {
        **fixed,
        "EndpointNames": ["iris", "b"],
        "InferenceComponentNames": [""],
        "CallerAttribution": "false",
        "Regions": [PSEUDO["AWS::Region"]],
        "TrustedAccountIds": ["555566667777"],
        "TrustedPrincipalArns": ["arn:aws:iam::555566667777:role/a"],
        "RoleName": "SageMakerExternal",
        "PolicyName": "SageMakerExternalInvokeEndpoint",
        "Path": "/sagemaker-external/",
    }
    names = {"RoleName": "R", "PolicyName": "P", "IamPath": "/p/"}
    more = {"InferenceComponentNames": "adapter-a,b", "AsyncInvocations": "true", "CallerAttribution": "true"}
    other = Stack(**given, **names, **more, ExternalId="tenant-7", EndpointRegion="eu-west-1")
    assert (
        other.properties("ExternalRole").items()
        >= {
            "ExternalId": "tenant-7",
            "Regions": ["eu-west-1"],
            "InferenceComponentNames": ["adapter-a", "b"],
            "Operations": ["InvokeEndpoint", "InvokeEndpointWithResponseStream", "InvokeEndpointAsync"],
            "CallerAttribution": "true",
            "RoleName": "R",
            "PolicyName": "P",
            "Path": "/p/",
        }.items()
    )


def test_child_passes_its_parameters_to_the_group():
    group = Stack(**CHILD, UserNames="alice,bob", GroupName="G").properties("ExternalGroup")
    assert group.pop("ApiArns")
    assert group == {
        "ServiceToken": "<ProvisionerFunction.Arn>",
        "ServiceTimeout": 300,
        "RoleArns": [PARENT_ROLE],
        "GroupName": "G",
        "UserNames": ["alice", "bob"],
        "Path": "/sagemaker-external/",
    }


def test_s04_s05_a_trial_trusts_its_invoker_by_name_and_not_its_own_account():
    role = Stack(**BOTH, TrustedPrincipalArns="arn:aws:iam::444455556666:user/alice").properties("ExternalRole")
    assert role["TrustedPrincipalArns"] == ["<InvokerRole.Arn>", "arn:aws:iam::444455556666:user/alice"]
    assert role["TrustedAccountIds"] == [""]


@pytest.mark.parametrize(
    ("given", "grant"),
    [
        (CHILD, {"RoleArn": PARENT_ROLE, "ExternalId": "", "EndpointNames": "iris", "Region": "us-east-1"}),
        (
            {**CHILD, "EndpointNames": "a,b", "ExternalId": "tenant-7", "EndpointRegion": "eu-west-1"},
            {"RoleArn": PARENT_ROLE, "ExternalId": "tenant-7", "EndpointNames": "a,b", "Region": "eu-west-1"},
        ),
        (
            BOTH,
            {
                "RoleArn": "<ExternalRole>",
                "ExternalId": "<ExternalRole.ExternalId>",
                "EndpointNames": "iris",
                "Region": "us-east-1",
            },
        ),
    ],
    ids=["child", "child-explicit", "both"],
)
def test_grants_of_one_parent_are_json(given, grant):
    assert json.loads(grants(**given)) == [grant]


def test_grants_of_several_parents_are_passed_as_they_are():
    assert grants(**SEVERAL) == GRANTS
    assert Stack(**SEVERAL).properties("ExternalGrants") == {
        "ServiceToken": "<ProvisionerFunction.Arn>",
        "ServiceTimeout": 300,
        "Grants": GRANTS,
    }
    for given in (PARENT, CHILD, BOTH):
        assert "ExternalGrants" not in Stack(**given).resources


def grants(**given):
    return Stack(**given).properties("InvokerFunction")["Environment"]["Variables"]["GRANTS"]


@pytest.mark.parametrize(
    ("given", "names"),
    [
        (PARENT, {"RoleArn", "ExternalId", "PolicyArns", "ProvisionerArn"}),
        (CHILD, {"RoleArn", "ExternalId", "GroupArn", "InvokerRoleArn", "ProvisionerArn", "ApiUrl"}),
        (SEVERAL, {"RoleArn", "GroupArn", "InvokerRoleArn", "ProvisionerArn", "ApiUrl"}),
        (BOTH, {"RoleArn", "ExternalId", "PolicyArns", "GroupArn", "InvokerRoleArn", "ProvisionerArn", "ApiUrl"}),
    ],
    ids=["parent", "child", "several", "both"],
)
def test_outputs_of_each_side(given, names):
    outputs = Stack(**given).outputs
    assert outputs.keys() == names | {"Version"}
    role = {"Child": PARENT_ROLE}.get(given["Side"], "<ExternalRole>")
    assert outputs["RoleArn"] == ("<ExternalGrants.RoleArns>" if given is SEVERAL else role)
    if given is not SEVERAL:
        assert outputs["ExternalId"] == ("111122223333" if given is CHILD else "<ExternalRole.ExternalId>")
    api_url = "https://<Api>.execute-api.us-east-1.amazonaws.com/<Apiv1Stage>"
    assert outputs.get("ApiUrl", api_url) == api_url
    assert outputs.get("InvokerRoleArn", "<InvokerRole.Arn>") == "<InvokerRole.Arn>"
    assert outputs["ProvisionerArn"] == "<ProvisionerFunction.Arn>"
    export = expanded()["Outputs"]["ProvisionerArn"]["Export"]
    assert export == {"Name": {"Fn::Sub": "${AWS::StackName}-ProvisionerArn"}}


def test_child_passes_its_parameters_to_the_invoker():
    variables = Stack(**CHILD).properties("InvokerFunction")["Environment"]["Variables"]
    assert (variables["CALLER_ATTRIBUTION"], variables["CREDENTIAL_REUSE_SECONDS"]) == ("false", "0")
    variables = Stack(**CHILD, CallerAttribution="true", CredentialReuseSeconds="900").properties("InvokerFunction")[
        "Environment"
    ]["Variables"]
    assert (variables["CALLER_ATTRIBUTION"], variables["CREDENTIAL_REUSE_SECONDS"]) == ("true", "900")


def test_s03_an_external_id_that_was_typed_in_is_not_printed_back():
    assert "ExternalId" not in Stack(**CHILD, ExternalId="tenant-7").outputs
    assert "tenant-7" not in str(Stack(**SEVERAL).outputs)
    for name in ("ExternalId", "Grants"):
        assert source()["Parameters"][name]["NoEcho"] is True


@SIDES
def test_permissions_come_before_the_custom_resources_and_go_after_them(given):
    stack = Stack(**given)
    for name, made in stack.resources.items():
        if made["Type"].startswith("Custom::"):
            before = needed(stack, name)
            assert {"ProvisionerFence", "Boundary", "ProvisionerDelivery", "ProvisionerLogGroup"} <= before, name
    if given is not PARENT:
        assert {"InvokerGrants", "InvokerLogGroup"} <= needed(stack, "InvokerFunction")


def test_wrong_grants_fail_before_all_that_relies_on_them():
    stack = Stack(**SEVERAL)
    before = needed(stack, "ExternalGrants")
    # The group rights, too, by a reference that the expansion fills in.
    ours = {made for made in stack.resources if made.startswith("Provisioner")} - {"ProvisionerGroupRights"}
    assert before == ours | {"Boundary"}
    for name in ("InvokerGrants", "InvokerFunction", "Api", "ExternalGroup"):
        assert "ExternalGrants" in needed(stack, name), name


def needed(stack, name, above=()):
    """Every resource that must exist before this one. A cycle, which no deployment could resolve, fails."""
    assert name not in above, f"cycle: {[*above, name]}"
    made = stack.resources[name]
    text = json.dumps(made["Properties"])
    depends = made.get("DependsOn", [])
    direct = {other for other in stack.resources if f"<{other}>" in text or f"<{other}." in text}
    direct |= set([depends] if isinstance(depends, str) else depends)
    return direct.union(*(needed(stack, other, (*above, name)) for other in direct))


@SIDES
def test_nothing_waits_for_itself(given):
    stack = Stack(**given)
    for name in stack.resources:
        needed(stack, name)


def test_no_output_shares_its_name_with_a_list_parameter():
    # sam build and sam deploy (1.170.0) end in a TypeError on such a template.
    assert not [name for name in source()["Outputs"] if name in source()["Parameters"] and is_list(name)]


def test_no_variable_of_a_text_shares_its_name_with_a_parameter():
    """Where the SAM transform resolves parameters, it fills them into ${NAME} and does not look at the variables."""

    def variables(node) -> set[str]:
        match node:
            case {"Fn::Sub": [_, names]}:
                return {*names, *variables(names)}
            case dict():
                return set().union(*map(variables, node.values()))
            case list():
                return set().union(*map(variables, node))
        return set()

    found = variables(source()["Resources"]) | variables(source()["Outputs"])
    assert found and not found & source()["Parameters"].keys()


def test_the_template_is_ascii():
    # CloudFormation turns other characters in names and descriptions into question marks.
    assert (ROOT / "template.yaml").read_text().isascii()
