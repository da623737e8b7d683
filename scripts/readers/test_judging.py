"""The matrix itself, without servers: right answers are accepted, and whatever is wrong is named."""

import pytest

from readers import answer, document, questions, results, values
from readers.adapters.base import Table
from readers.catalogue import BY_NAME, READERS
from readers.compare import Difference, differences
from readers.limits import LIMITS, limit_of
from readers.matrix import Job, unmet_limits
from readers.process import Environment, Process, complete_lines, read_environments

COLUMNS = [
    ("kafka_partition", "integer"),
    ("kafka_offset", "long"),
    ("plate_number", "string"),
    ("speed_kmh", "double"),
    ("payload", "binary"),
]
ROWS = [
    [0, 0, "А123ВС77", 0.0, None],
    [0, 1, None, 60.5, "00ff"],
    [1, 0, "", 60.5, ""],
    [1, 1, "я" * 300, 400.0, None],
]
LAKE = {
    "uri": "/lake",
    "storage": {},
    "tables": {"events": {"columns": COLUMNS, "measures": questions.MEASURES["events"], "files": []}},
}


class Honest(Table):
    """A reader that has the rows in memory."""

    held = ROWS

    def rows(self, _question):
        return self.held

    def aggregates(self, _question):
        return [questions.aggregate([row[place] for row in self.held], kind) for place, (_, kind) in enumerate(COLUMNS)]

    def filter(self, question):
        place = [name for name, _ in COLUMNS].index(question["column"])
        wanted = (question["operator"], question["value"], question["type"])
        found = [row for row in self.held if questions.matches(wanted[0], row[place], *wanted[1:])]
        return questions.measured("events", COLUMNS, found)


def judged(reader):
    """The result of a reader, a subclass of Table, on the rows."""
    asked = [
        ({"id": number, "lake": "disk/landed", "table": "events", **question}, right)
        for number, (question, right) in enumerate(questions.questions("events", COLUMNS, ROWS))
    ]

    class Adapter:
        open_table = staticmethod(reader)
        version = staticmethod(lambda: "1.0")

    lakes = {"disk/landed": LAKE}
    version, *given = answer.answers(Adapter, {"lakes": lakes, "questions": [question for question, _ in asked]})
    return results.judge(READERS[0], version["version"], {one["id"]: one for one in given}, asked, lakes)


def wrong_columns(reader):
    return {column for cell in judged(reader).cells for _, column in cell.findings}


def with_rows(rows):
    return type("Changed", (Honest,), {"held": rows})


def test_a_reader_that_sees_what_is_there_is_right():
    assert judged(Honest).is_right


@pytest.mark.parametrize("place", range(len(COLUMNS)))
def test_a_value_that_became_null_is_named_by_its_column(place):
    rows = [list(row) for row in ROWS]
    rows[3][place] = None if rows[3][place] is not None else "ff"
    assert COLUMNS[place][0] in wrong_columns(with_rows(rows))


def test_the_sign_of_zero_counts():
    assert wrong_columns(with_rows([[0, 0, "А123ВС77", -0.0, None], *ROWS[1:]])) == {"speed_kmh"}


def test_a_row_that_comes_twice_is_noticed():
    assert "*" in wrong_columns(with_rows([*ROWS, ROWS[0]]))


def test_a_filter_that_loses_rows_is_noticed_though_all_rows_can_be_read():
    class Skipping(Honest):
        def filter(self, question):
            return [0, 0, 0] if question["column"] == "plate_number" else super().filter(question)

    assert wrong_columns(Skipping) == {"plate_number"}


def test_a_least_value_taken_from_statistics_that_are_cut_is_noticed():
    class Cutting(Honest):
        def aggregates(self, question):
            found = super().aggregates(question)
            found[2]["greatest"] = found[2]["greatest"][:32]
            return found

    assert wrong_columns(Cutting) == {"plate_number"}


def test_errors_and_crashes_are_differences():
    class Refusing(Honest):
        def filter(self, question):
            raise ValueError("unsupported")

    assert wrong_columns(Refusing) == {name for name, _ in COLUMNS}
    question = {"kind": "filter", "operator": "=", "column": "speed_kmh"}
    assert differences("events", COLUMNS, question, None, [1, 0, 0])[0].text == "no answer"
    lost = {"lost": "the process ended with -11"}
    assert differences("events", COLUMNS, question, lost, [1, 0, 0])[0].text == "no answer: the process ended with -11"


def test_a_line_names_reader_version_lake_table_column_encodings_and_difference():
    result = judged(with_rows([[0, 0, None, 0.0, None], *ROWS[1:]]))
    [line] = [
        line for line in results.lines(result, {"disk/landed": LAKE}, lambda *_: "PLAIN") if "plate_number" in line
    ]
    assert (
        "pyarrow (1.0) disk/landed events.plate_number [PLAIN]: 1 of 4 values differ: None instead of 'А123ВС77'"
        in line
    )


@pytest.mark.parametrize(
    ("operator", "value", "found"),
    [("=", "", 1), ("!=", "", 2), (">=", "А123ВС77", 2), ("is null", None, 1), ("is not null", None, 3)],
)
def test_filters_do_as_sql_says(operator, value, found):
    """Null is equal to nothing and unequal to nothing; texts are ordered by their bytes."""
    assert sum(questions.matches(operator, row[2], value, "string") for row in ROWS) == found


def test_plain_values_are_exact():
    assert values.plain(values.python(-62135596800000000, "timestamp"), "timestamp") == -62135596800000000
    assert values.plain("12.3", "decimal(20,3)") == "12.300"
    assert values.plain(values.python("0001-01-01", "date"), "date") == "0001-01-01"
    assert values.plain(b"\x00\xff", "binary") == "00ff"


def test_a_reader_that_cannot_be_had_is_known_with_its_reason(tmp_path):
    (tmp_path / "environments").write_text("daft\t!\tno network\nspark-3.5\t/venv/bin/python\t/jars\n")
    found = read_environments(tmp_path / "environments")
    assert found["daft"].missing == "no network"
    assert (found["spark-3.5"].python, found["spark-3.5"].jars) == ("/venv/bin/python", "/jars")


def test_a_reader_that_crashes_is_started_again_for_the_tables_that_follow(tmp_path):
    """Its answers before the crash count; the rest of the table is lost, with how the process ended."""

    class Crashing(Process):
        def run(self, lakes, asked):
            answers = [{"id": question["id"], "value": question["table"]} for question in asked]
            crashes = asked[0]["table"] == "events"
            return "ended with -11", [{"version": "1.0"}, *(answers[:1] if crashes else answers)]

    tables = ["events", "events", "events", "dead_letters"]
    questions_of_job = [
        ({"id": number, "lake": "disk/landed", "table": table}, None) for number, table in enumerate(tables)
    ]
    version, given = Crashing(READERS[0], Environment(), tmp_path, 0).answer(Job({}, questions_of_job))
    assert version == "1.0" and [given[number].get("value") for number in range(4)] == [
        "events",
        None,
        None,
        "dead_letters",
    ]
    assert given[1]["lost"] == "the process ended with -11"


def test_a_line_that_was_not_finished_is_no_answer(tmp_path):
    (tmp_path / "answers").write_text('{"version": "1.0"}\n{"id": 0, "val')
    assert complete_lines(tmp_path / "answers") == [{"version": "1.0"}]
    assert complete_lines(tmp_path / "none") == []


# ---- limits and the document -------------------------------------------------------------------------------------


def test_a_known_limit_explains_its_own_difference_only():
    text = "WHERE payload = '00': RuntimeError: Invalid comparison operation: BinaryView <= Utf8View"
    refused = Difference("payload", "filter =", text)
    assert limit_of("clickhouse", "landed", "dead_letters", refused)
    assert not limit_of("duckdb", "landed", "dead_letters", refused)
    lost = Difference("payload", "filter =", "WHERE payload = '00': 0 rows instead of 1")
    assert not limit_of("clickhouse", "landed", "dead_letters", lost)


def test_a_limit_that_nothing_shows_is_reported_where_its_reader_was_asked():
    def result(name):
        return results.Result(BY_NAME[name], "1.0", [results.Cell("disk", "landed")])

    assert unmet_limits([result("duckdb")]) == []
    assert unmet_limits([result("clickhouse")]) == [limit for limit in LIMITS if limit.readers == "clickhouse"]


def test_the_document_says_what_is_wrong_and_which_limits_were_met():
    wrong = judged(with_rows([[0, 0, None, 0.0, None], *ROWS[1:]]))
    limited = judged(Honest)
    limited.cells[0].limits.append(LIMITS[0])
    missing = results.Result(READERS[1], "", [], "no network")
    page = document.text([wrong, limited, missing])
    assert "| pyarrow | 1.0 | **wrong** |" in page and "`plate_number` of `events` (everywhere)" in page
    assert "| right, within its limits |" in page and f"1. {LIMITS[0].text}" in page
    assert "| not tested | not tested |" in page
