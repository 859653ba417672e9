"""Sign in to the user pool, then call an endpoint with the ID token. Needs a region, but no AWS credentials."""

import os
import urllib.request

import boto3
from botocore import UNSIGNED
from botocore.config import Config

signed_in = boto3.client("cognito-idp", config=Config(signature_version=UNSIGNED)).initiate_auth(
    ClientId=os.environ["CLIENT_ID"],
    AuthFlow="USER_PASSWORD_AUTH",
    AuthParameters={"USERNAME": os.environ["POOL_USER"], "PASSWORD": os.environ["POOL_PASSWORD"]},
)
request = urllib.request.Request(
    os.environ["API_URL"] + "/endpoints/iris/invocations",
    data=b"5.1,3.5,1.4,0.2",
    # The ID token: access tokens are refused.
    headers={"Authorization": signed_in["AuthenticationResult"]["IdToken"], "Content-Type": "text/csv"},
)
with urllib.request.urlopen(request) as answer:
    print(answer.read().decode())
