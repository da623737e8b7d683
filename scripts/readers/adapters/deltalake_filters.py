"""Python deltalake: `to_pyarrow_table(filters=…)`, with triples of column, operator and value."""

from readers import values
from readers.adapters.base import ArrowTable
from readers.adapters.deltalake import delta_table, version  # noqa: F401 - the same program
from readers.adapters.pyarrow import expression


class Filtered(ArrowTable):
    def __init__(self, lake, name):
        super().__init__(lake, name)
        self.delta = delta_table(lake, name)

    def scan(self, columns, question):
        return self.delta.to_pyarrow_table(columns=columns, filters=self.filters(question))

    def filters(self, question):
        """Triples; they have no operator for null, so those filters are expressions."""
        if question is None or question["operator"].startswith("is"):
            return expression(question)
        return [(question["column"], question["operator"], values.python(question["value"], question["type"]))]


def open_table(lake, name):
    return Filtered(lake, name)
