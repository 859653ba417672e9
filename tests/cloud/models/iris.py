"""A real classifier: scikit-learn on the iris data set, from CSV rows to species names."""

import json
from email.message import Message

import numpy as np
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

from tests.cloud.models.container import Answer, Model, refuse, serve

FEATURES = 4


def build() -> Model:
    """Train on the whole data set (it ships with scikit-learn) and answer invocations."""
    data = load_iris()
    species = [str(name) for name in data.target_names]
    classifier = LogisticRegression(max_iter=1000).fit(data.data, data.target)

    def model(body: bytes, headers: Message) -> Answer:
        content_type = headers.get("Content-Type", "text/csv").partition(";")[0].strip()
        if content_type != "text/csv":
            return refuse(415, f"content type {content_type} is not supported, send text/csv")
        try:
            rows = _rows(body)
        except ValueError as error:
            return refuse(400, str(error))
        probabilities = classifier.predict_proba(rows)
        labels = [species[best] for best in probabilities.argmax(axis=1)]
        accept = headers.get("Accept", "*/*").partition(";")[0].strip()
        if accept == "application/json":
            predictions = [
                {"label": label, "probabilities": dict(zip(species, map(float, row), strict=True))}
                for label, row in zip(labels, probabilities, strict=True)
            ]
            return Answer(json.dumps({"predictions": predictions}).encode(), "application/json")
        if accept not in ("*/*", "text/csv", "text/*"):
            return refuse(406, f"cannot answer {accept}, ask for text/csv or application/json")
        return Answer("".join(f"{label}\n" for label in labels).encode(), "text/csv")

    return model


def _rows(body: bytes) -> np.ndarray:
    lines = [line for line in body.decode("utf-8", "replace").splitlines() if line.strip()]
    if not lines:
        raise ValueError("no rows")
    rows = []
    for number, line in enumerate(lines, start=1):
        cells = line.split(",")
        if len(cells) != FEATURES:
            raise ValueError(f"row {number} has {len(cells)} values, {FEATURES} are needed")
        try:
            rows.append([float(cell) for cell in cells])
        except ValueError:
            raise ValueError(f"row {number} is not numeric") from None
    return np.array(rows)


if __name__ == "__main__":
    serve(build())
