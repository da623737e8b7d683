"""What a reader's answers come to, cell by cell: a cell is a reader on one lake, in one store and one state."""

from dataclasses import dataclass, field

from readers.compare import differences
from readers.limits import limit_of


@dataclass
class Finding:
    """What is wrong with a column of a table in a cell: the differences, and the limits that explain some of them."""

    table: str
    column: str
    unexplained: list = field(default_factory=list)


@dataclass
class Cell:
    """A reader on one lake."""

    store: str
    state: str
    asked: int = 0
    findings: dict = field(default_factory=dict)  # by table and column
    limits: list = field(default_factory=list)

    @property
    def is_right(self):
        return not self.findings


@dataclass
class Result:
    """A reader in its version on all lakes."""

    reader: object
    version: str
    cells: list
    unavailable: str = ""

    @property
    def limits(self):
        """The limits that were met, once each."""
        return list(dict.fromkeys(limit for cell in self.cells for limit in cell.limits))

    @property
    def is_right(self):
        return not self.unavailable and all(cell.is_right for cell in self.cells)


def judge(reader, version, answers, asked, lakes):
    """The result of a reader: `asked` are pairs of a question and its right answer, `answers` by the question's id."""
    cells = {name: Cell(*name.split("/")) for name in lakes}
    for question, right in asked:
        cell, table = cells[question["lake"]], question["table"]
        cell.asked += 1
        columns = lakes[question["lake"]]["tables"][table]["columns"]
        for difference in differences(table, columns, question, answers.get(question["id"]), right):
            enter(cell, reader.name, table, difference)
    return Result(reader, version, list(cells.values()))


def enter(cell, reader, table, difference):
    """Enters a difference into its cell."""
    limit = limit_of(reader, cell.state, table, difference)
    if limit:
        cell.limits.append(limit)
        return
    finding = cell.findings.setdefault((table, difference.column), Finding(table, difference.column))
    finding.unexplained.append(difference)


def lines(result, lakes, encodings):
    """The result for people: a line for each cell, then one for each column that is wrong."""
    who = f"{result.reader.name} ({result.version})"
    if result.unavailable:
        return [f"MISSING {result.reader.name}: {result.unavailable}"]
    found = []
    for cell in result.cells:
        limits = f", {len(cell.limits)} of them within known limits" if cell.limits else ""
        verdict = "ok" if cell.is_right else "FAILED"
        found.append(f"{verdict:6} {who} {cell.store}/{cell.state}: {cell.asked} answers{limits}")
        for finding in cell.findings.values():
            first, *rest = finding.unexplained
            lake = lakes[f"{cell.store}/{cell.state}"]
            encoded = "" if finding.column == "*" else f" [{encodings(lake, finding.table, finding.column)}]"
            more = f" (and {len(rest)} more answers on this column)" if rest else ""
            where = f"{cell.store}/{cell.state} {finding.table}.{finding.column}{encoded}"
            found.append(f"       {who} {where}: {first.text}{more}")
    return found
