"""The least that each side needs, and the routes of the API."""

import pytest

PARENT_ROLE = "arn:aws:iam::111122223333:role/sagemaker-external/SageMakerExternal"
PARENT = {"Side": "Parent", "EndpointNames": "iris", "TrustedAccountIds": "555566667777"}
CHILD = {"Side": "Child", "EndpointNames": "iris", "RoleArn": PARENT_ROLE}
BOTH = {"Side": "Both", "EndpointNames": "iris"}
SIDES = pytest.mark.parametrize("given", [PARENT, CHILD, BOTH], ids=lambda given: given["Side"])

ROUTES = {("/endpoints/{name}/invocations", "post"), ("/endpoints", "get")}
