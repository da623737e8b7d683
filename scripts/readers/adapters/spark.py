"""Apache Spark with Delta, in every version: a local session with its defaults, and the jars in READERS_JARS.

Filters are asked many at a time, as branches of one UNION ALL, each of which is planned and skips files
by itself; if a query fails, its questions are asked one by one.
"""

import atexit
import os
from urllib.parse import urlparse

import pyspark
from pyspark.sql import SparkSession

from readers.adapters.base import SqlTable, described, utc

AT_ONCE = 16
session = None


def version():
    jars = os.listdir(os.environ["READERS_JARS"])
    [delta] = (jar for jar in jars if jar.startswith(("delta-core", "delta-spark")))
    artifact, _, number = delta.removesuffix(".jar").rpartition("-")
    return f"Spark {pyspark.__version__}, {artifact.partition('_')[0]} {number}"


def the_session(storage):
    """The session, started with the first table; the store of a later one is set in it."""
    global session
    if session is None:
        folder = os.environ["READERS_JARS"]
        # Spark brings its own Scala and ANTLR.
        jars = [jar for jar in sorted(os.listdir(folder)) if not jar.startswith(("scala-library", "antlr4-runtime"))]
        settings = {
            "spark.jars": ",".join(f"{folder}/{jar}" for jar in jars),
            "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
            "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
            "spark.sql.session.timeZone": "UTC",
            "spark.driver.memory": "2g",
            "spark.driver.host": "127.0.0.1",
            "spark.driver.bindAddress": "127.0.0.1",
            "spark.ui.enabled": "false",
            "spark.ui.showConsoleProgress": "false",
            # One machine and small tables: fewer tasks, the same results.
            "spark.sql.shuffle.partitions": "1",
            "spark.databricks.delta.snapshotPartitions": "1",
            # Nor is code compiled for every query, which would take most of the time; files are read as ever.
            "spark.sql.codegen.wholeStage": "false",
            "spark.sql.codegen.factoryMode": "NO_CODEGEN",
            "spark.sql.adaptive.enabled": "false",
        }
        builder = SparkSession.builder.master("local[2]")
        for name, value in settings.items():
            builder = builder.config(name, value)
        session = builder.getOrCreate()
        session.sparkContext.setLogLevel("OFF")
        atexit.register(session.stop)
    if storage:
        endpoint = urlparse(storage["endpoint"])
        for name, value in {
            "endpoint": storage["endpoint"],
            "access.key": storage["access_key_id"],
            "secret.key": storage["secret_access_key"],
            "endpoint.region": storage["region"],
            "connection.ssl.enabled": str(endpoint.scheme == "https").lower(),
            "path.style.access": "true",
        }.items():
            session.sparkContext._jsc.hadoopConfiguration().set(f"fs.s3a.{name}", value)
    return session


class Loaded(SqlTable):
    def __init__(self, lake, name):
        super().__init__(lake, name)
        self.session = the_session(lake["storage"])
        uri = lake["uri"].replace("s3://", "s3a://")
        self.relation = f"delta.`{uri}/{name}`"

    def query(self, sql):
        return [tuple(row) for row in self.session.sql(sql).collect()]

    def answers(self, questions):
        filters = [question for question in questions if question["kind"] == "filter"]
        yield from super().answers([question for question in questions if question["kind"] != "filter"])
        for first in range(0, len(filters), AT_ONCE):
            yield from self.at_once(filters[first : first + AT_ONCE])

    def at_once(self, questions):
        branches = [
            f"SELECT {question['id']} AS question, * FROM ({self.filter_query(question)})" for question in questions
        ]
        try:
            found = {row[0]: row[1:] for row in self.query(" UNION ALL ".join(branches))}
        except Exception:
            yield from super().answers(questions)
            return
        for question in questions:
            yield question["id"], {"value": self.plain_measures(found[question["id"]])}

    def described(self, error):
        """The first cause, which Spark wraps several times."""
        java = getattr(error, "java_exception", None) or getattr(error, "_origin", None)
        if java is None:
            return described(error)
        while java.getCause() is not None:
            java = java.getCause()
        return described(RuntimeError(java.toString()))

    def filter_query(self, question):
        """The result's columns have names of their own, as a union needs."""
        names = ", ".join(f"sum_{number}" for number in range(len(self.measures)))
        return f"SELECT * FROM ({super().filter_query(question)}) AS answer(found, {names})"

    def selected(self, expression, kind):
        """Times as numbers, dates as text: Python's own types are narrower and know the machine's zone."""
        if kind == "timestamp":
            return f"unix_micros({expression})"
        return f"CAST({expression} AS STRING)" if kind == "date" else expression

    def text(self, text):
        return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"

    def timestamp(self, micros):
        return f"TIMESTAMP '{utc(micros)} UTC'"


def open_table(lake, name):
    return Loaded(lake, name)
