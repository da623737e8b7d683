"""How `scripts/bench.sh profile` evaluates sampled stacks: threads, parts, towers. The stacks are written by hand."""

import pytest

from bench import stacks

WORKER = "tokio::runtime::scheduler::multi_thread::worker::Context::run_task"
POOL = "tokio::runtime::blocking::pool::Inner::run"
WRITE = "entry_SYSCALL_64_after_hwframe_[k];do_syscall_64_[k];vfs_write_[k];copy_from_user_[k]"
FOLDED = f"""\
speed-layer-7/7;main;speed_layer::engine::Engine::run;speed_layer::partition::Partition::accept 30
rdk:broker1-7/9;thread_start;rd_kafka_broker_serve;rd_kafka_lz4_decompress;LZ4_decompress_safe 20
tokio-rt-worker-7/10;clone3;{POOL};{WORKER};lake_delta::data_file::FileWriter::push;snap::compress::Encoder::compress 15
tokio-rt-worker-7/10;[unknown];memmove 4
tokio-rt-worker-7/14;clone3;{POOL};{WORKER};lake_delta::data_file::FileWriter::push;snap::compress::Encoder::compress 1
tokio-rt-worker-7/11;clone3;{POOL};object_store::local::put;write;{WRITE} 8
speed-layer-7/12;clone3;std::thread::start 1
kafka-poll-7/12;clone3;speed_layer::kafka::poller::Poller::run;speed_layer_decode::DecodedBatch::push;malloc 12
kafka-poll-7/12;clone3;speed_layer::kafka::poller::Poller::run;speed_layer_decode::DecodedBatch::push;memmove 8
encode-1-7/13;clone3;parquet::column::writer::write 1
"""


@pytest.mark.parametrize(
    "frames, part",
    [
        ("main;lake_delta::data_file::FileWriter::push;parquet::arrow::write;memmove", "encoding, as Parquet"),
        ("main;lake_delta::data_file::FileWriter::push;parquet::arrow::write;_rjem_je_arena_malloc", "memory allocation"),
        ("main;speed_layer_decode::DecodedBatch::push;lake_model::event_columns::TextColumn::push", "decode"),
        ("main;speed_layer::provisional::Provisional::rows;lake_model::pane::Pane::quantile", "rows of the tables, as Arrow"),
        ("main;speed_layer::provisional::Group::add;lake_model::pane::Pane::add", "fold: lateness and windows"),
        ("main;lake_delta::log::TableLog::fold;serde_json::from_str", "commits to the Delta log"),
        ("main;speed_layer_decode::plain::read;serde_json::from_str", "decode"),
        ("main;<speed_layer_decode::object::Reader as serde_core::de::Visitor>::visit_map", "decode"),
        ("main;malloc;asm_exc_page_fault_[k];clear_page_[k]", "kernel: memory"),
        ("main;rd_kafka_recv;recvmsg;do_syscall_64_[k];tcp_recvmsg_[k];copy_to_iter_[k]", "kernel: network"),
        ("main;malloc;asm_sysvec_timer_[k];irq_exit_[k]", "kernel: the rest"),
        ("main;nobody_knows", "other"),
    ],
)
def test_a_stack_belongs_to_the_innermost_function_that_is_known(frames, part):
    assert stacks.part_of(frames.split(";")) == part


def test_a_function_of_the_kernel_is_not_taken_for_one_of_ours_with_its_name():
    assert stacks.part_of(["main", "do_syscall_64_[k]", "rd_kafka_broker_serve_[k]"]) == "kernel: the rest"


def test_threads_are_told_apart_by_name_and_those_of_the_runtime_by_their_stacks():
    assert stacks.by_thread(stacks.counted(stacks.parse(FOLDED))) == {
        "main: the engine": 30,
        "librdkafka brokers": 20,
        "tokio workers": 20,
        "tokio blocking pool": 8,
        "Kafka poll": 21,
        "encode-1": 1,
    }


def test_parts_of_all_threads_add_up_to_every_sample():
    counted = stacks.counted(stacks.parse(FOLDED))
    parts = stacks.by_part(counted)
    assert sum(parts.values()) == sum(stacks.by_thread(counted).values()) == 100
    assert parts == {
        "fold: lateness and windows": 30,
        "decompression": 20,
        "compression": 16,
        "memory allocation": 12,
        "decode": 8,
        "kernel: files": 8,
        "encoding, as Parquet": 1,
        "other": 5,
    }


def test_a_drawn_tower_is_a_thread_with_all_of_its_samples():
    towers = {}
    for line in stacks.towers(stacks.parse(FOLDED)).splitlines():
        stack, _, samples = line.rpartition(" ")
        tower = stack.split(";")[0]
        towers[tower] = towers.get(tower, 0) + int(samples)
    assert towers == stacks.by_thread(stacks.counted(stacks.parse(FOLDED)))


def test_a_drawn_stack_begins_with_the_first_function_that_belongs_to_a_part():
    drawn = stacks.towers(stacks.parse(FOLDED)).splitlines()
    assert "Kafka poll;speed_layer::kafka::poller::Poller::run;speed_layer_decode::DecodedBatch::push;malloc 12" in drawn
    assert "tokio workers;[unknown];memmove 4" in drawn


def test_what_the_kernel_lends_to_programs_counts_for_whoever_calls_it():
    lent = stacks.parse("kafka-poll-7/8;rd_kafka_q_serve;clock_gettime;__vdso_clock_gettime_[k] 5")
    assert stacks.counted(lent) == {"Kafka poll": {"Kafka client": 5}}


def test_a_line_that_is_no_stack_is_an_error_with_the_line():
    with pytest.raises(ValueError, match="kafka-poll;main 3"):
        stacks.parse("kafka-poll;main 3")
