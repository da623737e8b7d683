"""The peers as programs: Apache Flink and Apache Spark from Maven Central in the cache folder, with our jobs compiled.

Each has a folder whose name is derived from its sources: the pom.xml and the job. It is built elsewhere and renamed
into place, so an incomplete folder is never used.
"""

import hashlib
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from bench.bed import fail, tell
from harness.lakehouse import CACHE

PEERS = Path(__file__).resolve().parent / "peers"
# This collector uses fewer CPU seconds than the default. Nothing is written to the system's folder for temporary files.
JAVA = ["java", "-XX:+UseParallelGC", "-XX:-UsePerfData"]


@dataclass(frozen=True)
class Engine:
    """An engine with its job."""

    name: str
    title: str
    main: str
    heap_gib: int
    # Packages of Java that the engine accesses by reflection.
    opened: tuple

    @property
    def sources(self):
        return PEERS / self.name

    def home(self):
        """The folder of its jars and of the job's classes, created if it is missing."""
        files = [PEERS / "log4j2.properties", *sorted(p for p in self.sources.rglob("*") if p.is_file())]
        key = hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()[:12]
        home = CACHE / f"{self.name}-{key}"
        if not home.exists():
            self._make(home)
        return home

    def _make(self, home):
        for tool, package in (("mvn", "maven"), ("javac", "default-jdk-headless")):
            if not shutil.which(tool):
                fail(f"{tool} is needed: apt-get install {package}")
        tell(f"fetching {self.title} into {home}: once")
        CACHE.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(prefix="building.", dir=CACHE))
        try:
            self._fill(made)
            made.rename(home)
        finally:
            shutil.rmtree(made, ignore_errors=True)

    def _fill(self, made):
        copy = ["dependency:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={made / 'libs'}"]
        run("mvn", "-q", "-B", "-C", "-f", self.sources / "pom.xml", *copy)
        sources = sorted((self.sources / "src").rglob("*.java"))
        run("javac", "-nowarn", "-cp", made / "libs" / "*", "-d", made / "classes", *sources)
        shutil.copy(PEERS / "log4j2.properties", made / "classes")
        if (self.sources / "resources").exists():
            shutil.copytree(self.sources / "resources", made / "classes", dirs_exist_ok=True)

    def command(self, temporary, *arguments):
        """The command that starts the job, in one process, with a folder for temporary files."""
        home = self.home()
        options = [f"-Xms{self.heap_gib}g", f"-Xmx{self.heap_gib}g", f"-Djava.io.tmpdir={temporary}"]
        opened = [f"--add-opens=java.base/{package}=ALL-UNNAMED" for package in self.opened]
        path = f"{home / 'classes'}:{home / 'libs' / '*'}"
        return [*JAVA, *options, *opened, "-cp", path, self.main, *map(str, arguments)]


COMMON = ("java.lang", "java.lang.invoke", "java.lang.reflect", "java.net", "java.nio", "java.util", "java.util.concurrent")
FLINK = Engine(
    "flink", "Apache Flink 2.2", "lambdalake.bench.FlinkJob", 4, (*COMMON, "java.text", "java.time", "sun.nio.ch")
)
SPARK = Engine(
    "spark",
    "Apache Spark 4.2",
    "lambdalake.bench.SparkJob",
    6,
    (
        *COMMON,
        "java.io",
        "java.util.concurrent.atomic",
        "jdk.internal.ref",
        "sun.nio.ch",
        "sun.nio.cs",
        "sun.security.action",
        "sun.util.calendar",
    ),
)


def run(*command):
    """Runs a tool; if it fails, its output is part of the message."""
    found = subprocess.run([str(part) for part in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if found.returncode != 0:
        fail(f"{command[0]} ended with {found.returncode}:\n{found.stdout[-3000:]}")
