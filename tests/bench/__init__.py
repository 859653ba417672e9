"""`make bench`: the shipped functions measured beside what they are compared with.

The measuring of the invoker is a Rust program (src); this package builds what it needs, times the provisioner on the
local cloud, and writes the report and the cost page.
"""
