"""Reads YAML strictly: a key that stands twice is a fault."""

import pathlib

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]


class Strict(yaml.SafeLoader):
    pass


def mapping(loader, node):
    keys = [loader.construct_object(key) for key, _ in node.value]
    twice = {key for key in keys if keys.count(key) > 1}
    if twice:
        raise yaml.constructor.ConstructorError(None, None, f"twice: {twice}", node.start_mark)
    return loader.construct_mapping(node, deep=True)


Strict.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, mapping)


def parse(text):
    return [document for document in yaml.load_all(text, Strict) if document is not None]


def documents(path):
    return parse(path.read_text("utf-8"))


def contract():
    """Paths and statuses of openapi.yaml."""
    (document,) = documents(ROOT / "openapi.yaml")
    statuses = {
        str(status)
        for path in document["paths"].values()
        for operation in path.values()
        if isinstance(operation, dict)
        for status in operation.get("responses", {})
    }
    return document, statuses
