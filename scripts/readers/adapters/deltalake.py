"""Python deltalake: `to_pyarrow_dataset()` with a filter of pyarrow."""

import deltalake

from readers.adapters.base import ArrowTable
from readers.adapters.pyarrow import expression


def version():
    return f"deltalake {deltalake.__version__}"


def storage_options(lake):
    return {
        f"AWS_{key.upper()}": str(value).lower() if value is True else value for key, value in lake["storage"].items()
    }


def delta_table(lake, name):
    return deltalake.DeltaTable(f"{lake['uri']}/{name}", storage_options=storage_options(lake) or None)


class Dataset(ArrowTable):
    def __init__(self, lake, name):
        super().__init__(lake, name)
        self.dataset = delta_table(lake, name).to_pyarrow_dataset()

    def scan(self, columns, question):
        return self.dataset.to_table(columns=columns, filter=expression(question))


def open_table(lake, name):
    return Dataset(lake, name)
