"""Rows of the iris data set with their species, as the demo and the tests send them."""

ROWS = (
    ("5.1,3.5,1.4,0.2", "setosa"),
    ("4.8,3.0,1.4,0.3", "setosa"),
    ("7.0,3.2,4.7,1.4", "versicolor"),
    ("5.5,2.4,3.7,1.0", "versicolor"),
    ("6.3,3.3,6.0,2.5", "virginica"),
    ("5.9,3.0,5.1,1.8", "virginica"),
)
CSV = "".join(f"{row}\n" for row, _ in ROWS).encode()
LABELS = [label for _, label in ROWS]
