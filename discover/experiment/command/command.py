"""An external program as an experiment: handed over now, collected in minutes or days."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from discover.candidates.materials.structures import structure_text
from discover.errors import DiscoverError, ExperimentFailed, InvalidInput, Problem
from discover.experiment.command.answer import HalfWritten, read_result
from discover.experiment.command.arguments import filled, placeholders, template_problems
from discover.experiment.command.poscar import poscar
from discover.experiment.command.processes import Ended, finished, is_alive, last_words, launch, run_short
from discover.experiment.folders import last_change, now_in, read_json, safe_name, write_json, write_whole
from discover.kinds import typed
from discover.reserved import RESERVED
from discover.values import Handle, Proposal, Result

OWN = ("key", "id", "proposal_id", "folder")
"""Placeholders that mean something else than a column."""


@dataclass(frozen=True)
@typed
class Command:
    """Hands each candidate to a program (a batch queue, a script), and collects its result by key later.

    Example::

        experiment:
          kind: command
          program: [sbatch, --parsable, --job-name, "{key}", run.sh, "{folder}"]
          status: [squeue, --noheader, --name, "{key}"]
          lookup: [./find-job.sh, "{key}"]
          targets: {energy: eV}

    **Arguments** are lists and never pass through a shell. `{key}`, `{id}`, `{proposal_id}`, `{folder}` and `{column}`, a
    column of the candidate, are replaced inside single arguments; `{{` and `}}` stand for braces. A value that would
    become an option (`-rf`) or lead a path astray (`../x`) is a final failure of that candidate. Programs start in the
    campaign file's folder with the environment of this process and `DISCOVER_KEY`, `DISCOVER_FOLDER`; the environment
    is stored nowhere, so keep secrets there and out of the arguments, which the campaign's definition keeps.

    **The job's folder**, `<store>.files/jobs/<key>/` or `<folder>/<key>/`, holds `candidate.json` (key, id, and under
    `values` all columns) and, where `structure` names the column with a crystal structure, `structure.json` and
    `POSCAR`. It must be seen by the job, and by every machine that runs the campaign. The job leaves `result.json` there::

        {"values": {"energy": -1.2}, "std": {"energy": 0.01}, "units": {"energy": "eV"}}
        {"status": "failed", "reason": "not converged", "retryable": true}
        {"status": "censored", "values": {"energy": -1.2}, "bound": {"energy": "below"}}

    also with `cost`, `details`, the statuses `measured` and `infeasible`, and, where results differ in how they were found
    out, `"fidelity": "low"` and `"context": {"functional": "PBE"}`, as `tell` takes them. It must be written WHOLE: write
    `result.json.tmp` and rename it. What is half-written counts as still under way until it has not changed for
    `patience` seconds; then it is a failure in words. Unknown targets, other units and numbers that are not finite are
    failures too. The file's hash is kept with the observation.

    **program** hands the job over and returns quickly, at most after `timeout` seconds. Exit code 0: the job is handed
    over, and the first line that it printed is the job's number. Another code: nothing was handed over. Cut off by the time
    limit or a signal: not known. What it leaves running when it ends is not waited for. With `local: true` the program is
    the job itself: it runs in the background on this machine, at most `at_once` at a time, each at most `job_timeout`
    seconds, and goes on when this process ends.

    **status** is asked about a job without a result; `{job}` is its number. Exit code 0 with output: it is there. Exit code 0
    without output: it is gone, and if its folder did not change for `patience` seconds, it failed and may be tried again.
    Another code: nobody can say now. Without `status` a job without a result is under way for ever, or until the
    campaign's deadline.

    **Exactly once.** The campaign commits a key, then hands it over. A job that runs locally is claimed by a file that can be
    made only once: it starts once, whatever dies when. A queue is asked once unless this process dies between the moment
    at which the queue takes the job and the note of it in the folder, microseconds after the program returned. Then `lookup`
    is asked by key, so pass the key to the queue, as the job's name: exit code 0 with output means that the queue has the
    job, without output that it never had it. It should know finished jobs as well: a script that asks
    `squeue --noheader --name KEY`, and `sacct -X --noheader --starttime now-90days --name KEY`, which by itself looks back to
    midnight alone. A result, or a file `started` that the job makes in its folder, prove it too. Without `lookup` and proof nobody can say: the proposal is
    shown as 'unknown, ask a person', and nothing is handed over twice.

    deterministic: the same candidate gives the same result, so its failures are final unless `result.json` says otherwise.
    """

    program: list[str]
    targets: dict[str, str]
    status: list[str] = field(default_factory=list)
    lookup: list[str] = field(default_factory=list)
    local: bool = False
    at_once: int = 1
    timeout: float = 600
    job_timeout: float | None = None
    patience: float = 60
    deterministic: bool = False
    structure: str | None = None
    folder: str | None = None
    base: Path | None = field(default=None, repr=False, metadata={"internal": True})
    files: Path | None = field(default=None, repr=False, metadata={"internal": True})

    together = False

    def __post_init__(self) -> None:
        problems = [*self._argument_problems(), *self._other_problems()]
        if problems:
            raise InvalidInput("experiment 'command'", problems)

    def _argument_problems(self) -> Iterator[Problem]:
        if not self.program:
            yield Problem("needs the program and its arguments", column="program", value=self.program)
        for option in ("program", "status", "lookup"):
            yield from template_problems(option, getattr(self, option))
        if "job" in placeholders([*self.program, *self.lookup]):
            yield Problem("{job} is known once the job is handed over", column="program", way_out="use it in status")
        for option in ("status", "lookup"):
            if getattr(self, option) and self.local:
                yield Problem("belongs to a queue; a local job is watched by its process", column=option)
        if self.status and not {"key", "job"} & set(placeholders(self.status)):
            yield Problem("must say which job it asks about", column="status", way_out="name {key} or {job}")
        if self.lookup and "key" not in placeholders(self.lookup):
            yield Problem("must look for the key", column="lookup", way_out="name {key}")
        if self.lookup and "key" not in placeholders(self.program):
            hint = 'pass it on, such as: --job-name, "{key}"'
            yield Problem("the queue cannot be asked for a key that it was not told", column="program", way_out=hint)

    def _other_problems(self) -> Iterator[Problem]:
        if not self.targets:
            yield Problem("needs targets with units", column="targets", way_out="write {energy: eV}")
        for name in self.targets:
            if name in RESERVED or not name:
                yield Problem("a target cannot have this name", column="targets", value=name)
        if self.job_timeout is not None and not self.local:
            hint = "give the queue its own time limit"
            yield Problem("belongs to a local job", column="job_timeout", value=self.job_timeout, way_out=hint)
        for option in ("timeout", "at_once", "job_timeout"):
            value = getattr(self, option)
            if value is not None and value <= 0:
                yield Problem("must be above 0", column=option, value=value)
        if self.patience < 0:
            yield Problem("must be at least 0", column="patience", value=self.patience)

    @property
    def requires(self) -> tuple[str, ...]:
        """Columns that stand in the arguments, and the structure's."""
        named = [p for p in placeholders([*self.program, *self.lookup, *self.status]) if p not in (*OWN, "job")]
        return tuple(dict.fromkeys([*named, *([self.structure] if self.structure else [])]))

    def located(self, base: Path, files: Path) -> Command:
        """The same experiment: programs start in `base`, and jobs have their folders under `files`."""
        return replace(self, base=Path(base).resolve(), files=Path(files).resolve())

    def describe(self) -> Mapping[str, Any]:
        """The arguments, and the hash of every file among them."""
        files = {}
        for text in self.program:
            path = (self.base or Path()) / text
            if "{" not in text and "/" not in text.strip("./") and path.is_file():
                files[text] = hashlib.sha256(path.read_bytes()).hexdigest()
        how = "run in the background" if self.local else "handed over and collected later"
        return {
            "kind": "command",
            "method": f"external program, {how}: {' '.join(self.program)}",
            "program": list(self.program),
            "files": files,
            "targets": dict(self.targets),
            "deterministic": self.deterministic,
        }

    @property
    def jobs(self) -> Path:
        """The folder that holds a folder for each job."""
        if self.folder is not None:
            return (self._base / Path(self.folder).expanduser()).resolve()
        if self.files is None:
            raise DiscoverError("a command needs a place for its jobs: use it by way of located(base, files)")
        return self.files / "jobs"

    @property
    def _base(self) -> Path:
        return self.base or Path.cwd()

    def submit(self, work: Mapping[str, Proposal]) -> Mapping[str, Handle]:
        """Hand over proposals by key; a handle for each that was handed over.

        ExperimentFailed: nothing was. Its `retryable` says whether the same key may be handed over later; where it is
        false, this candidate never can be. Another DiscoverError: it is not known; ask `find`.
        """
        handles: dict[str, Handle] = {}
        for key, proposal in work.items():
            try:
                handles[key] = self._hand_over(key, proposal)
            except ExperimentFailed:
                if not handles:
                    raise
                break
        return handles

    def find(self, keys: Sequence[str]) -> Mapping[str, Handle] | None:
        """Handles of those keys that were handed over; None where that cannot be said of one of them."""
        found = {}
        for key in keys:
            try:
                handle = self._known(key)
            except _CannotSay:
                return None
            if handle is not None:
                found[key] = handle
        return found

    def collect(self, handles: Mapping[str, Handle]) -> Mapping[str, Result]:
        """Results that have come in, and failures of jobs that are gone; a job under way is absent."""
        results = {}
        for key, handle in handles.items():
            result = self._outcome(key, handle)
            if result is not None:
                results[key] = result
        return results

    def _hand_over(self, key: str, proposal: Proposal) -> Handle:
        folder = self._folder(key)
        arguments = filled(self.program, self._values(key, proposal, folder))
        try:
            self._write_inputs(key, proposal, folder)
            if self.local:
                slots = [str(self.jobs / f".slot-{number}") for number in range(self.at_once)]
                job = {"arguments": arguments, "cwd": str(self._base), "key": key, "timeout": self.job_timeout}
                write_json(folder / "job.json", {**job, "slots": slots})
            else:
                write_json(folder / "handing-over.json", {"key": key})
        except OSError as error:
            raise ExperimentFailed(f"{folder} cannot be written: {error}", retryable=True) from error
        if self.local:
            if problem := launch(folder):
                raise ExperimentFailed(problem, retryable=True)
            return {"folder": folder.name}
        return self._queue(key, folder, arguments)

    def _queue(self, key: str, folder: Path, arguments: Sequence[str]) -> Handle:
        ended = self._run(key, folder, arguments, folder / "handing-over.lock")
        if ended.unclear:
            words = ended.error or f"ended by signal {-(ended.code or 0)}"
            raise DiscoverError(f"{self.program[0]}: {words}")
        if ended.problem or ended.code:
            with suppress(OSError):
                (folder / "handing-over.json").unlink()
            words = ended.problem or f"{self.program[0]} ended with code {ended.code}: {ended.error or 'no message'}"
            raise ExperimentFailed(words, retryable=True)
        return self._note(key, folder, ended.output)

    def _note(self, key: str, folder: Path, output: str) -> Handle:
        lines = output.strip().splitlines()
        job = "".join(c for c in lines[0] if c.isprintable()).strip()[:200] if lines else ""
        try:
            write_json(folder / "submitted.json", {"key": key, "job": job})
        except OSError as error:
            warnings.warn(f"{key} is handed over, but {folder} cannot be written: {error}", stacklevel=2)
        return {"folder": folder.name, "job": job}

    def _known(self, key: str) -> Handle | None:
        """The handle of a key that was handed over, None if it was not. _CannotSay."""
        folder = self._folder(key)
        if self.local:
            return {"folder": folder.name} if (folder / "started.json").exists() else None
        if (noted := read_json(folder / "submitted.json")) is not None:
            return {"folder": folder.name, "job": str(noted.get("job", ""))}
        if not (folder / "handing-over.json").exists():
            return None  # the program was never started for it
        if not self._finished(folder):
            raise _CannotSay
        if (noted := read_json(folder / "submitted.json")) is not None:
            return {"folder": folder.name, "job": str(noted.get("job", ""))}
        if (folder / "result.json").exists() or (folder / "started").exists():
            return {"folder": folder.name, "job": ""}
        answer = self._asked(self.lookup, key, folder)
        if answer is None:
            raise _CannotSay
        return self._note(key, folder, answer) if answer else None

    def _outcome(self, key: str, handle: Handle) -> Result | None:
        folder = self._folder(key)
        if not folder.is_dir():
            if handle:
                hint = "is the folder of jobs shared with the machine that handed it over?"
                warnings.warn(f"{folder} is not here, so {key} counts as under way; {hint}", stacklevel=3)
            return None
        try:
            result = self._read(folder)
            if result is None and self._gone(key, folder, handle):
                result = self._read(folder) or self._lost(folder)
        except HalfWritten as problem:
            if self._quiet(folder / "result.json"):
                reason = f"result.json was left half-written: {problem}"
                return Result("failed", reason=reason, retryable=not self.deterministic)
            return None
        return result

    def _read(self, folder: Path) -> Result | None:
        return read_result(folder / "result.json", self.targets, retryable=not self.deterministic)

    def _gone(self, key: str, folder: Path, handle: Handle) -> bool:
        """Whether the job certainly no longer runs."""
        if self.local:
            known = [read_json(folder / name) for name in ("started.json", "running.json")]
            return not any(process is not None and is_alive(process) for process in known)
        return self._asked(self.status, key, folder, handle) == "" and self._quiet(None, folder)

    def _asked(self, program: Sequence[str], key: str, folder: Path, handle: Handle | None = None) -> str | None:
        """What a program of the queue's says of a job; None where it does not know or cannot be asked."""
        given = read_json(folder / "candidate.json")
        if not program or given is None:
            return None
        own = {"id": given["id"], "key": key, "proposal_id": given["proposal_id"], "folder": str(folder)}
        try:
            arguments = filled(program, {**given["values"], **own, "job": (handle or {}).get("job") or None})
        except ExperimentFailed:
            return None
        ended = self._run(key, folder, arguments)
        return ended.output.strip() if not ended.problem and ended.code == 0 else None

    def _quiet(self, path: Path | None, folder: Path | None = None) -> bool:
        """Whether a file, or everything in a folder, did not change for `patience` seconds."""
        try:
            if path is not None:
                return now_in(path.parent) - path.stat().st_mtime > self.patience
            assert folder is not None
            return now_in(folder) - last_change(folder) > self.patience
        except OSError:
            return False

    def _lost(self, folder: Path) -> Result:
        """Why a job ended without a result."""
        ended = read_json(folder / "ended.json")
        if ended is None:
            gone = "its process is gone" if self.local else "the queue no longer has it"
            return Result("failed", reason=f"the job left no result, and {gone}", retryable=True)
        words = self._said(folder)
        reason = str(ended.get("problem") or f"the program ended with code {ended.get('code')} and left no result")
        return Result("failed", reason=f"{reason}{f': {words}' if words else ''}", retryable=not self.deterministic)

    def _said(self, folder: Path) -> str:
        try:
            return last_words((folder / "error.txt").read_bytes())
        except OSError:
            return ""

    def _finished(self, folder: Path) -> bool:
        """Wait for a program that was handing over and may have outlived the process that started it."""
        try:
            return finished(folder / "handing-over.lock", self.timeout)
        except OSError:
            return False

    def _run(self, key: str, folder: Path, arguments: Sequence[str], lock: Path | None = None) -> Ended:
        more = {"DISCOVER_KEY": key, "DISCOVER_FOLDER": str(folder)}
        return run_short(arguments, self._base, self.timeout, more, lock)

    def _folder(self, key: str) -> Path:
        return self.jobs / safe_name(key)

    def _values(self, key: str, proposal: Proposal, folder: Path) -> dict[str, Any]:
        candidate = proposal.candidate
        if candidate is None:
            raise ExperimentFailed(f"the proposal of {proposal.candidate_id!r} does not carry its candidate")
        own = {"key": key, "id": candidate.id, "proposal_id": proposal.proposal_id, "folder": str(folder)}
        return {**candidate.values, **own}

    def _write_inputs(self, key: str, proposal: Proposal, folder: Path) -> None:
        candidate = proposal.candidate
        assert candidate is not None
        folder.mkdir(parents=True, exist_ok=True)
        body = {"key": key, "proposal_id": proposal.proposal_id, "id": candidate.id, "version": candidate.version}
        try:
            write_json(folder / "candidate.json", {**body, "values": dict(candidate.values)})
            if self.structure is not None:
                text = structure_text(candidate.values.get(self.structure))
                write_whole(folder / "structure.json", text.encode())
                if (as_poscar := poscar(text, candidate.id)) is not None:
                    write_whole(folder / "POSCAR", as_poscar.encode("utf-8", "replace"))
        except (InvalidInput, TypeError, ValueError) as error:
            raise ExperimentFailed(f"the candidate cannot be handed over: {error}") from error


class _CannotSay(Exception):
    """Whether something was handed over is not known."""
