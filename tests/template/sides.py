"""The least that each side needs, and the routes of the API."""

import pytest

PARENT_ROLE = "arn:aws:iam::111122223333:role/sagemaker-external/SageMakerExternal"
PARENT = {"Side": "Parent", "EndpointNames": "iris", "TrustedAccountIds": "555566667777"}
CHILD = {"Side": "Child", "EndpointNames": "iris", "RoleArn": PARENT_ROLE}
BOTH = {"Side": "Both", "EndpointNames": "iris"}
# A child of several parents.
GRANTS = f'[{{"RoleArn":"{PARENT_ROLE}","ExternalId":"tenant-7","EndpointNames":["iris"]}}]'
SEVERAL = {"Side": "Child", "Grants": GRANTS}
SIDES = pytest.mark.parametrize(
    "given", [PARENT, CHILD, SEVERAL, BOTH], ids=["Parent", "Child", "Child of several", "Both"]
)

POOL = "arn:aws:cognito-idp:us-east-1:444455556666:userpool/us-east-1_Ab12Cd34E"
TOPIC = "arn:aws:sns:us-east-1:444455556666:alarms"

# The doctor, for members of the group: IAM authorises it whatever authorises the rest.
EXAMINE = ("/endpoints/{name}", "get")
ROUTES = {
    ("/endpoints/{name}/invocations", "post"),
    ("/endpoints/{name}/invocations-response-stream", "post"),
    ("/endpoints/{name}/async-invocations", "post"),
    ("/endpoints", "get"),
    EXAMINE,
}
# What the ARNs of its routes begin with.
API = "arn:aws:execute-api:us-east-1:444455556666:<Api>"


def arn_path(route: tuple[str, str]) -> str:
    """METHOD/path as the ARN of a route has it."""
    path, method = route
    return method.upper() + path.replace("{name}", "*")
