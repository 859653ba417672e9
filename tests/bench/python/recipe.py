"""(c) The recipe as a Lambda handler: both clients made for each request, as its client code does."""

import base64
import os

import boto3


def handler(event, context):
    sts = boto3.client("sts")
    keys = sts.assume_role(
        RoleArn=os.environ["ROLE_ARN"], RoleSessionName="SageMakerExternal", ExternalId=os.environ["EXTERNAL_ID"]
    )["Credentials"]
    runtime = boto3.client(
        "sagemaker-runtime",
        aws_access_key_id=keys["AccessKeyId"],
        aws_secret_access_key=keys["SecretAccessKey"],
        aws_session_token=keys["SessionToken"],
    )
    answer = runtime.invoke_endpoint(
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
