"""docs/api.md is what openapi.yaml says today."""

from tests.docs import api


def test_the_page_is_the_documents():
    assert api.PAGE.read_text() == api.page(), "run `make docs`"


def test_nothing_of_the_document_is_left_out():
    """Every name in it that a caller could meet stands on the page."""
    document = api.yaml.safe_load((api.ROOT / "openapi.yaml").read_text())
    page = api.page()
    components = document["components"]
    named = {parameter["name"] for parameter in components["parameters"].values()}
    named |= {member for schema in components["schemas"].values() for member in schema.get("properties", {})}
    for path, item in document["paths"].items():
        for method in (method for method in api.METHODS if method in item):
            operation = item[method]
            named |= {p["name"] for p in operation.get("parameters", []) if "name" in p}
            named |= {header for answer in operation["responses"].values() for header in answer.get("headers", {})}
            assert f"## {operation['operationId']}\n\n`{method.upper()} {path}`\n" in page
            assert operation["description"].strip() in page
    assert [name for name in sorted(named) if f"`{name}`" not in page] == []
    described = [answer["description"] for answer in components["responses"].values()]
    assert all(" ".join(text.split()).replace("|", "\\|") in page for text in described)
