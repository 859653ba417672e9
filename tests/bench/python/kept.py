"""(d) The best Python: both clients made once, the assumed role's credentials swapped in for each request.

A session's credentials are an object that its clients look at for each signature; changing it in place is all that
botocore's public interface offers for this, and holds as long as one request is served at a time.
"""

import base64
import os

import boto3
import botocore.session

STS = boto3.client("sts")
session = botocore.session.get_session()
session.set_credentials("none yet", "none yet", "none yet")
ASSUMED = session.get_credentials()
RUNTIME = session.create_client("sagemaker-runtime")


def handler(event, context):
    keys = STS.assume_role(
        RoleArn=os.environ["ROLE_ARN"], RoleSessionName="SageMakerExternal", ExternalId=os.environ["EXTERNAL_ID"]
    )["Credentials"]
    ASSUMED.access_key = keys["AccessKeyId"]
    ASSUMED.secret_key = keys["SecretAccessKey"]
    ASSUMED.token = keys["SessionToken"]
    answer = RUNTIME.invoke_endpoint(
        EndpointName=event["pathParameters"]["name"],
        ContentType=event["headers"]["Content-Type"],
        Body=base64.b64decode(event["body"]),
    )
    return {
        "statusCode": 200,
        "headers": {"Content-Type": answer["ContentType"]},
        "isBase64Encoded": True,
        "body": base64.b64encode(answer["Body"].read()).decode(),
    }
