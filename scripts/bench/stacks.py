"""What sampled stacks belong to: a thread, and a part of the work.

A folded line is `name-pid/tid;outermost;...;innermost count`; functions of the kernel end in `_[k]`. The part of a
stack is that of its innermost function that matches a pattern below: the cost of a library counts for its caller,
unless the library is a part of its own.
"""

import re
from collections import Counter
from dataclasses import dataclass

KERNEL = "_[k]"
OTHER = "other"

# Of our own code and its libraries: name, and how the names of its functions begin. The first match counts.
PARTS = [
    (
        "decompression",
        r"LZ4|XXH|ZSTD_(D|decompress)|HUF_decompress|inflate|rd_kafka_(lz4|gzip|zstd|snappy)_|snap::decompress",
    ),
    ("Kafka client", r"rd_|rdkafka::|rdkafka_sys::|speed_layer_fetch::"),
    ("decode", r"speed_layer_decode::"),
    ("fold: lateness and windows", r"speed_layer::(partition::|clock|provisional::\w+::(add|group|of))"),
    ("polling and handing over", r"speed_layer::(kafka|source)"),
    ("rows of the tables, as Arrow", r"speed_layer::(landing|provisional)|lake_tables::(avg_speed|events|dead_letters|offset_gaps)"),
    ("compression", r"snap::|ZSTD_|HUF_|parquet::compression"),
    ("encoding, as Parquet", r"parquet::|lake_delta::data_file"),
    (
        "commits to the Delta log",
        r"speed_layer::(publish|committer|tables)|lake_delta::(log|housekeeping|read|columns)|lake_tables::(txn|file_kind|identity)|deltalake|buoyant",
    ),
    ("object store", r"object_store::|lake_delta::storage"),
    (
        "memory allocation",
        r"(__GI_)?(__libc_)?(malloc|calloc|realloc|reallocarray|c?free|memalign|posix_memalign|aligned_alloc)(@|$)"
        r"|(m|r|x|s|d|sd|n)allocx$|_rjem_|_int_(malloc|free)|malloc_consolidate|sysmalloc|systrim|unlink_chunk",
    ),
    ("engine: the rest", r"speed_layer::(engine|recovery|takeover|lander|averages_writer|partition_set)"),
    ("logs and metrics", r"tracing|metrics|lake_runtime::telemetry"),
    (
        "runtime: tasks and their waking",
        r"tokio::(sync|time|runtime::(io|time|park|driver))|tokio::runtime::scheduler::multi_thread::(park|queue|idle)|mio::"
        r"|std::(thread::park|sync|sys::sync)|parking_lot",
    ),
]
# Functions of the kernel; those that match nothing are the rest.
KERNEL_PARTS = [
    (
        "kernel: waiting, waking and switching",
        r".*(futex|eventfd|pipe_|nanosleep|schedule|try_to_wake_up)|do_(sys_)?poll|do_epoll|ep_|(tcp|sock)_poll",
    ),
    ("kernel: network", r".*(sock|tcp|inet_|skb|net_rx|sys_send|sys_recv)"),
    (
        "kernel: files",
        r"ksys|vfs|ext4|xfs|btrfs|jbd2|iomap|generic_(perform|file)|do_sys_open|do_filp_open|path_|filename_"
        r"|do_(unlink|mkdir|link|rename)",
    ),
    ("kernel: memory", r".*(page_fault|handle_mm|madvise|munmap|mmap|sys_brk|mprotect)"),
]
KERNEL_REST = "kernel: the rest"

# Name, the thread's name in the system, and a function in some of its stacks if that name is not enough.
THREADS = [
    ("Kafka poll", r"kafka-poll", None),
    ("librdkafka brokers", r"rdk:broker", None),
    ("librdkafka main", r"rdk:main", None),
    ("tokio workers", r"tokio-rt-worker", r"tokio::runtime::scheduler::multi_thread::worker::(run$|Context::)"),
    ("tokio blocking pool", r"tokio-rt-worker", None),
    ("jemalloc", r"jemalloc_bg_thd", None),
]
MAIN = "main: the engine"


def compiled(parts):
    return [(name, re.compile(rf"<*&?(?:{patterns})")) for name, patterns in parts]


OWN_PATTERNS, KERNEL_PATTERNS = compiled(PARTS), compiled(KERNEL_PARTS)


@dataclass(frozen=True)
class Stack:
    """A stack, outermost function first, with how many samples found it."""

    comm: str
    pid: int
    tid: int
    frames: tuple
    samples: int


def parse(folded):
    """The stacks of folded lines."""
    return [one(line) for line in folded.splitlines() if line]


def one(line):
    """The stack of a folded line."""
    stack, _, samples = line.rpartition(" ")
    thread, *frames = stack.split(";")
    found = re.fullmatch(r"(.*)-(\d+)/(\d+)", thread)
    if not found or not samples.isdecimal():
        raise ValueError(f"{line!r}: expected 'name-pid/tid;function;... samples'")
    return Stack(found[1], int(found[2]), int(found[3]), tuple(map(told_apart, frames)), int(samples))


def told_apart(frame):
    """A function of the vDSO runs in the program, so it does not count as a function of the kernel."""
    return frame.removesuffix(KERNEL) if frame.startswith("__vdso") else frame


def part_of(frames):
    """The part of the work that a stack belongs to."""
    in_kernel = False
    for frame in reversed(frames):
        if frame.endswith(KERNEL):
            in_kernel = True
            found = first_match(KERNEL_PATTERNS, frame.removesuffix(KERNEL))
        elif in_kernel:
            return KERNEL_REST
        else:
            found = first_match(OWN_PATTERNS, frame)
        if found:
            return found
    return KERNEL_REST if in_kernel else OTHER


def first_match(patterns, name):
    return next((part for part, pattern in patterns if pattern.match(name)), None)


def thread_names(stacks):
    """The role of each thread, by its id. An unknown thread keeps its name in the system."""
    of = {}
    for stack in stacks:
        of.setdefault(stack.tid, []).append(stack)
    return {tid: thread_name(found) for tid, found in of.items()}


def thread_name(stacks):
    """The role of the thread with these stacks."""
    if stacks[0].pid == stacks[0].tid:
        return MAIN
    # It begins with the name of the thread that has started it.
    names = Counter()
    for stack in stacks:
        names[stack.comm] += stack.samples
    comm = names.most_common(1)[0][0]
    frames = {frame for stack in stacks for frame in stack.frames}
    for name, known_as, has in THREADS:
        if re.match(known_as, comm) and (has is None or any(re.match(has, frame) for frame in frames)):
            return name
    return comm


def counted(stacks):
    """Samples by thread and part: {thread: {part: samples}}."""
    names = thread_names(stacks)
    found = {}
    for stack in stacks:
        found.setdefault(names[stack.tid], Counter())[part_of(stack.frames)] += stack.samples
    return {thread: dict(parts) for thread, parts in found.items()}


def by_part(counted):
    """Samples by part, of all threads."""
    total = Counter()
    for parts in counted.values():
        total.update(parts)
    return dict(total)


def by_thread(counted):
    """Samples by thread."""
    return {thread: sum(parts.values()) for thread, parts in counted.items()}


def towers(stacks):
    """Folded lines for the graph: the role of a thread in place of its name and number, then the stack from the first function
    that belongs to a part. The functions outside of it start threads and tasks, and are often cut off."""
    names = thread_names(stacks)
    lines = Counter()
    for stack in stacks:
        lines[";".join((names[stack.tid], *from_first_part(stack.frames)))] += stack.samples
    return "".join(f"{line} {samples}\n" for line, samples in sorted(lines.items()))


def from_first_part(frames):
    """A stack from the first function that belongs to a part; the whole stack if there is none."""
    first = next((at for at, frame in enumerate(frames) if first_match(OWN_PATTERNS, frame)), 0)
    return frames[first:]
