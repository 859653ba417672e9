"""The recipe's own call, without the API: assume the parent's role, then invoke the endpoint with what that gives."""

import os

import boto3

keys = boto3.client("sts").assume_role(
    RoleArn=os.environ["ROLE_ARN"], RoleSessionName="example", ExternalId=os.environ["EXTERNAL_ID"]
)["Credentials"]
runtime = boto3.client(
    "sagemaker-runtime",
    aws_access_key_id=keys["AccessKeyId"],
    aws_secret_access_key=keys["SecretAccessKey"],
    aws_session_token=keys["SessionToken"],
)
answer = runtime.invoke_endpoint(EndpointName="iris", ContentType="text/csv", Body="5.1,3.5,1.4,0.2")
print(answer["Body"].read().decode())
