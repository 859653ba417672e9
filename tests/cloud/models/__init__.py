"""Model servers that speak the SageMaker container contract: GET /ping and POST /invocations."""
