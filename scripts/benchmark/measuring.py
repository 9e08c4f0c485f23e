"""Runs commands, takes times, and makes medians and ratios of them.

Everything is compared in pairs: one round runs each command once, one after the other, so that what slows the machine down
for a while slows all of them down. The ratio is taken round by round; what is told is the median of the ratios.
"""

import os
import signal
import statistics
import subprocess
import threading
import time
from pathlib import Path


class Unavailable(Exception):
    """Something cannot be measured; the text says why, for the table."""


class Failed(Exception):
    """A command did not do what it was to do."""


class Shell:
    """Where commands run: a directory, an environment, and a file for what they say."""

    def __init__(self, folder, environment, said):
        self.folder, self.environment, self.said = folder, environment, said
        # Of the last command: when it began, in seconds since the epoch, and what it used of the processor.
        self.began = self.processor_seconds = None

    def start(self, words, **more):
        environment = {**self.environment, **{key: str(value) for key, value in more.items()}}
        with open(self.said, "wb") as said:
            return subprocess.Popen(
                [str(word) for word in words],
                cwd=self.folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def run(self, *words, may_fail=False, **more):
        """Runs a command to its end, and returns the seconds that took."""
        self.began, begun = time.time(), time.perf_counter()
        process = self.start(words, **more)
        try:
            # Left as it is for a moment, so that what it used itself can still be read.
            os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
            seconds = time.perf_counter() - begun
            self.processor_seconds = used(process.pid)
            status = process.wait()
        except BaseException:
            end(process)
            raise
        if status and not may_fail:
            raise Failed(f"`{' '.join(shown(word) for word in words)}` ended with {status}: {self.last_words()}")
        return seconds

    def output(self):
        return Path(self.said).read_text(errors="replace")

    def last_words(self):
        lines = [line.strip() for line in self.output().splitlines() if line.strip()]
        return " / ".join(lines[-3:])[:400]


def used(pid):
    """The processor time of an ended process itself, without those that it started; None where it cannot be told."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def shown(word):
    """A program by its name, and no URL, which holds a password."""
    word = str(word)
    return word.rsplit("/", 1)[-1] if word.startswith("/") else "URL" if "://" in word else word


def end(process):
    """Ends a command and everything that it started in its group, the second time without asking."""
    for number in [signal.SIGTERM, signal.SIGKILL]:
        try:
            os.killpg(process.pid, number)
        except ProcessLookupError:
            break
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            continue
    process.wait()


class Contender:
    """One of the commands of a comparison. `prepare` and `check` are outside of the measured time."""

    def __init__(self, name, run, prepare=lambda: None, check=lambda: None):
        self.name, self.run, self.prepare, self.check = name, run, prepare, check


def compare(contenders, runs, budget, told):
    """Rounds of all contenders. One that takes long runs as often as fits into `budget` seconds, and at least once."""
    result = {contender.name: {"seconds": [], "missing": None} for contender in contenders}
    wanted = dict.fromkeys(result, runs)
    for turn in range(runs):
        for contender in contenders:
            of = result[contender.name]
            if of["missing"] or turn >= wanted[contender.name]:
                continue
            try:
                contender.prepare()
                seconds = contender.run()
                contender.check()
            except (Unavailable, Failed) as error:
                of["missing"] = str(error)
                told(f"{contender.name}: {error}")
                continue
            of["seconds"].append(seconds)
            if seconds > 10:
                told(f"{contender.name}: {seconds:.0f} s")
            wanted[contender.name] = max(1, min(runs, int(budget / max(seconds, 0.001))))
    for of in result.values():
        # A failure in one of the runs is a failure: half of a series is no measurement.
        if of["missing"]:
            of["seconds"] = []
    told(", ".join(f"{name} {summary(of)}" for name, of in result.items()))
    return result


def summary(of):
    return f"{statistics.median(of['seconds']):.3f} s" if of["seconds"] else "-"


def median(values):
    return statistics.median(values) if values else None


def ratios(ours, theirs):
    return [a / b for a, b in zip(ours["seconds"], theirs["seconds"])]


def peak_memory(shell, words, **more):
    """The peak memory in bytes of a process itself, without those that it starts: the kernel's own high-water mark."""
    if not Path("/proc/self/status").exists():
        raise Unavailable("there is no /proc on this system")
    process = shell.start(words, **more)
    peak, over = 0, threading.Event()

    def look():
        nonlocal peak
        while not over.is_set():
            try:
                for line in Path(f"/proc/{process.pid}/status").read_text().splitlines():
                    if line.startswith("VmHWM:"):
                        peak = int(line.split()[1]) * 1024
            except OSError:
                return
            time.sleep(0.001)

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        status = process.wait()
    except BaseException:
        end(process)
        raise
    finally:
        over.set()
        watcher.join()
    if status:
        raise Failed(f"`{' '.join(shown(word) for word in words)}` ended with {status}: {shell.last_words()}")
    return peak
