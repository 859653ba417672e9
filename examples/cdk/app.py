"""A CDK app whose stack lets another account call endpoints, through the provisioner of a stack that is deployed."""

import aws_cdk as cdk
from constructs import Construct


class EndpointGrant(Construct):
    """A role that the given accounts may assume to call the given endpoints of this account."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        name: str,
        endpoints: list[str],
        accounts: list[str],
        parent_stack: str = "sagemaker-external-parent",
        **properties: object,
    ) -> None:
        super().__init__(scope, id)
        made = cdk.CustomResource(
            self,
            "Role",
            resource_type="Custom::SageMakerExternalRole",
            service_token=cdk.Fn.import_value(f"{parent_stack}-ProvisionerArn"),
            # Longer than the provisioner ever works.
            service_timeout=cdk.Duration.minutes(5),
            properties={
                "RoleName": name,
                "PolicyName": f"{name}Invoke",
                "EndpointNames": endpoints,
                "TrustedAccountIds": accounts,
                **properties,
            },
        )
        self.role_arn = made.get_att_string("RoleArn")
        self.external_id = made.get_att_string("ExternalId")


class Partners(cdk.Stack):
    def __init__(self, scope: Construct, id: str, **options: object) -> None:
        super().__init__(scope, id, **options)
        child = cdk.CfnParameter(self, "ChildAccountId", allowed_pattern="^[0-9]{12}$")
        grant = EndpointGrant(
            self, "Iris", name="IrisForPartnerByCdk", endpoints=["iris"], accounts=[child.value_as_string]
        )
        cdk.CfnOutput(self, "RoleArn", value=grant.role_arn)
        cdk.CfnOutput(self, "ExternalId", value=grant.external_id)


app = cdk.App()
# The stack has no assets, so it needs nothing of `cdk bootstrap`.
Partners(app, "Partners", synthesizer=cdk.LegacyStackSynthesizer())
app.synth()
