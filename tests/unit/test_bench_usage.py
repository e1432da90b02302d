"""Processor time is told by part: what a part and its children used, and what others used beside."""

import subprocess
import sys
import time

import psutil

from deploy.bench.usage import ELSEWHERE, ProcessorTimes, rss_bytes_max

_BUSY = "import time\nend = time.process_time() + {}\nwhile time.process_time() < end: pass\n"


def test_a_part_is_told_with_its_children_ended_ones_too() -> None:
    code = f"import subprocess, sys, time\nsubprocess.run([sys.executable, '-c', {_BUSY.format(0.3)!r}])\n"
    part = subprocess.Popen([sys.executable, "-c", code + "print('done', flush=True)\ntime.sleep(60)"], stdout=-1)
    try:
        times = ProcessorTimes({"balancer-0": psutil.Process(part.pid), "balancer-1": psutil.Process(part.pid)})
        assert part.stdout is not None
        assert part.stdout.readline() == b"done\n"
        used = times.seconds()
    finally:
        part.kill()
        part.wait()
        assert part.stdout is not None
        part.stdout.close()
    assert set(used) == {"balancer", "bench", ELSEWHERE}
    assert 0.5 < used["balancer"] < 2.0  # two names of the same process


def test_this_process_is_the_bench_and_no_part_of_elsewhere() -> None:
    times = ProcessorTimes({})
    end_s = time.process_time() + 0.5
    while time.process_time() < end_s:
        pass
    used = times.seconds()
    assert 0.45 < used["bench"] < 1.0
    assert used[ELSEWHERE] >= 0


def test_the_most_memory_that_was_held_stays_after_it_is_given_back() -> None:
    code = "held = bytearray(100_000_000)\ndel held\nprint('done', flush=True)\nimport time\ntime.sleep(60)"
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"done\n"
        assert rss_bytes_max(psutil.Process(process.pid)) > 100_000_000
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()
