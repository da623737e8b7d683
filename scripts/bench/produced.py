"""When the records of a topic were produced, by asking Kafka for the first offset of each instant."""

import math
import uuid

from confluent_kafka import Consumer, TopicPartition

STEP_MS = 50
PATIENCE_S = 30


def production_times(topic, began, ended):
    """By partition, the steps of time between two instants in seconds since 1970: (begin, first offset, next offset)."""
    consumer = Consumer({"bootstrap.servers": topic.brokers, "group.id": uuid.uuid4().hex})
    ends = topic.ends()
    steps = {partition: [] for partition in ends}
    try:
        instants = range(math.floor(began * 1000), math.ceil(ended * 1000) + 2 * STEP_MS, STEP_MS)
        before = None
        for millis in instants:
            offsets = first_offsets(consumer, topic, ends, millis)
            if before:
                for partition in ends:
                    steps[partition].append(((millis - STEP_MS) / 1000, before[partition], offsets[partition]))
            before = offsets
    finally:
        consumer.close()
    return steps


def first_offsets(consumer, topic, ends, millis):
    """By partition, the first offset whose record is not older; the end where there is none."""
    asked = [TopicPartition(topic.name, partition, millis) for partition in ends]
    found = consumer.offsets_for_times(asked, timeout=PATIENCE_S)
    return {place.partition: place.offset if place.offset >= 0 else ends[place.partition] for place in found}
