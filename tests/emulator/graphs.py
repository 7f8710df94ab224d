"""Writing expression graphs by hand, and evaluating them without a server."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from eedask.emulator.expression.expression import Context, evaluate
from eedask.emulator.values.info import to_info
from eedask.emulator.values.value_types import Collection, Query


@dataclass(frozen=True)
class Call:
    name: str
    arguments: dict[str, Any]


@dataclass(frozen=True)
class Argument:
    name: str


@dataclass(frozen=True)
class Lambda:
    names: tuple[str, ...]
    body: Any


def call(name: str, **arguments: Any) -> Call:
    return Call(name, arguments)


def function(make: Callable[..., Any], *names: str) -> Lambda:
    """A function definition from a Python function of argument references."""
    return Lambda(names, make(*map(Argument, names)))


def encode(value: Any) -> dict[str, Any]:
    values: dict[str, Any] = {}

    def node(item: Any) -> dict[str, Any]:
        if isinstance(item, Call):
            arguments = {k: node(v) for k, v in item.arguments.items()}
            return {"functionInvocationValue": {"functionName": item.name, "arguments": arguments}}
        if isinstance(item, Argument):
            return {"argumentReference": item.name}
        if isinstance(item, Lambda):
            key = f"body{len(values)}"
            values[key] = None
            values[key] = node(item.body)
            return {"functionDefinitionValue": {"argumentNames": list(item.names), "body": key}}
        if isinstance(item, list):
            return {"arrayValue": {"values": [node(i) for i in item]}}
        if isinstance(item, dict):
            return {"dictionaryValue": {"values": {k: node(v) for k, v in item.items()}}}
        return {"constantValue": item}

    values["result"] = node(value)
    return {"result": "result", "values": values}


@dataclass
class Tables:
    """A catalog of tables that counts loads and notes what is asked of them."""

    tables: dict[str, list[Any]] = field(default_factory=dict)
    loads: int = 0
    queries: list[Query] = field(default_factory=list)

    def load_table(self, name: str) -> Collection:
        self.loads += 1

        def source(query: Query) -> Iterator[Any]:
            self.queries.append(query)
            return iter(self.tables[name])

        return Collection("FeatureCollection", source, id=name)


def value_of(item: Any, catalog: Any = None) -> Any:
    return evaluate(encode(item), Context(catalog))


def info_of(item: Any, catalog: Any = None) -> Any:
    return to_info(value_of(item, catalog))
