"""The local cloud: AWS on one machine, without Docker and without an account.

ministack (pinned exactly, see requirements.txt) serves CloudFormation, IAM, STS, Lambda, API Gateway, S3 and Logs with
enforced policies. This package wraps it in one ASGI application and adds what it lacks and this project needs:

    app.py            which part answers a request, and the record of every call
    runtime.py        SageMaker Runtime under IAM enforcement, in front of real model servers (models/)
    event_stream.py   the frames of its streamed answers
    lost_answers.py   answers that SageMaker loses after the model has run
    sts_faults.py     errors of STS, while a test asks for them
    async_inference.py
                      what becomes of its asynchronous requests
    gateway.py        API Gateway: streamed Lambda answers, signature scope, callers of other accounts, tokens, keys
    authorization.py  IAM calls: the paths of what they touch, and IAM's own condition keys
    iam_calls.py      IAM calls that it lacks
    session_attributes.py
                      AssumeRole with a source identity or with tags
    user_names.py     IAM users whatever the case of their names
    custom_resources.py
                      CloudFormation when a custom resource fails
    stacks.py         what CloudFormation refuses: an update after a failed creation, access logs without a role
    workers.py        Lambda environments: clean variables, streamed bytes, logs in files
    streams.py        a streamed answer on its way from Lambda to API Gateway
    control.py        what tests may ask and set; client.py is its Python face
    process.py        start, stop and status of the whole in the background

A 12-digit access key is the root user of the account with that number, with any secret: that is how the deploy
helpers act "as an administrator of account X". All other callers need real keys, signatures and policies.

What it does not imitate, and what follows from that, stands in docs/local-cloud.md.
"""
