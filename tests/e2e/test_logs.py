"""What the functions must not print."""

import pytest

from tests.cloud.endpoints import CHILD, PARENT
from tests.e2e.world import World


def test_s15_c31_the_provisioner_prints_no_response_url(world: World):
    for stack, account in ((world.parent, PARENT), (world.child, CHILD)):
        printed = world.cloud.logs(account, stack.physical_id("ProvisionerFunction"))
        assert printed, "the provisioner logs what it did"
        assert "cfn-response" not in printed


def test_s15_the_invoker_prints_no_body_no_attributes_and_no_credentials(world: World):
    with world.cloud.recording() as seen:
        world.api.invoke_endpoint(EndpointName="echo", Body=b"the-body-itself", CustomAttributes="an-attribute")
        with pytest.raises(world.api.exceptions.ClientError):
            world.api.invoke_endpoint(EndpointName="echo", Body=b"the-body-itself", CustomAttributes="status=500")
    printed = world.cloud.logs(CHILD, world.child.physical_id("InvokerFunction"))
    assert printed, "the invoker logs each request"
    secrets = {call["access_key"] for call in seen.of("sagemaker")}
    assert len(secrets) == 2
    for hidden in ("the-body-itself", "an-attribute", "Authorization", "AWS4-HMAC", "SecretAccessKey", *secrets):
        assert hidden not in printed
