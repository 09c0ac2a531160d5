"""A batch queue in one file, for tests: it takes jobs, finds them by name, and forgets nothing.

    fake_queue.py submit DIRECTORY KEY FOLDER    prints the job's number; one line a job in DIRECTORY/queue.log
    fake_queue.py lookup DIRECTORY KEY           numbers of the jobs of that name
    fake_queue.py status DIRECTORY KEY           one line while the job is neither finished nor gone
    fake_queue.py work DIRECTORY                 finishes every job: energy is minus x
    fake_queue.py lose DIRECTORY                 forgets every job without a result

DIRECTORY/delay: seconds that a submission takes before the queue has it; DIRECTORY/after: and before it says so.
DIRECTORY/down: submissions are refused with that text.
"""

import json
import os
import sys
import time
from pathlib import Path


def jobs(directory: Path) -> list[dict[str, str]]:
    try:
        return [json.loads(line) for line in (directory / "queue.log").read_text().splitlines()]
    except FileNotFoundError:
        return []


def wait(path: Path) -> None:
    if path.exists():
        time.sleep(float(path.read_text()))


def put(path: Path, body: object) -> None:
    draft = path.with_suffix(".tmp")
    draft.write_text(json.dumps(body))
    draft.replace(path)


def main(verb: str, directory: Path, *rest: str) -> None:
    if verb == "submit":
        if (directory / "down").exists():
            sys.exit((directory / "down").read_text())
        (directory / "called").open("a").write(f"{rest[0]}\n")
        wait(directory / "delay")
        with (directory / "queue.log").open("a") as log:
            log.write(json.dumps({"key": rest[0], "folder": rest[1]}) + "\n")
            log.flush()
            os.fsync(log.fileno())
        wait(directory / "after")
        print(len(jobs(directory)))
    elif verb == "lookup":
        print("\n".join(str(n) for n, job in enumerate(jobs(directory), 1) if job["key"] == rest[0]))
    elif verb == "status":
        gone = directory / "lost"
        mine = [job for job in jobs(directory) if job["key"] == rest[0]]
        print(
            "\n".join(
                "RUNNING" for job in mine if not gone.exists() and not (Path(job["folder"]) / "result.json").exists()
            )
        )
    elif verb == "work":
        for job in jobs(directory):
            values = json.loads((Path(job["folder"]) / "candidate.json").read_text())["values"]
            put(Path(job["folder"]) / "result.json", {"values": {"energy": -float(values["x"])}})
    elif verb == "lose":
        (directory / "lost").touch()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), *sys.argv[3:])
