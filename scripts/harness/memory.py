"""The memory limit of the speed layer: the sum in docs/operations.md, with the defaults of the settings."""

MIB = 1 << 20
MB = 1_000_000
PROGRAM = 100 * MIB
LANDING_BYTES = QUEUE_BYTES = 64 * MB
# Settings of librdkafka, as the speed layer sets them; the stack has one broker.
QUEUED_BYTES, FETCH_BYTES, BROKERS = 8 * MIB, 4 * MIB, 1
ALLOCATOR = 1.5


def bound_mib(partitions, window_bytes):
    """The greatest resident memory allowed, in MiB, for so many partitions with so many bytes of open windows."""
    kafka = 8 * (QUEUED_BYTES + BROKERS * FETCH_BYTES)
    return ALLOCATOR * (PROGRAM + 4 * LANDING_BYTES + 2 * QUEUE_BYTES + partitions * MIB + kafka + window_bytes) / MIB
