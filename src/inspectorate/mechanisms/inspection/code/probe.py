"""The process that runs an entry point and watches it from within. Started by `run.run_entry` through `apart.run_apart`.

Standard input: one JSON object with the folder of the code, the entry point and its arguments. Standard output: one line with what
the kernel closed in, one with what was seen, when the program ends by itself, by an error, or by `sys.exit`.

The process closes itself in first, and runs nothing where the kernel did not. Then comes an audit hook, then watchers of torch if
torch is there, then the entry point runs as `__main__` with its output thrown away.

What is watched shares the process with its watcher, and can lie to it. The report is the word of the audited program.
"""

from __future__ import annotations

import gc
import hashlib
import importlib
import importlib.util
import json
import os
import runpy
import sys
import threading
from types import FrameType
from typing import Any

from inspectorate.apart import enclose, say

WATCHED = (
    "open", "socket.", "subprocess.", "os.system", "os.exec", "os.posix_spawn", "os.fork", "ctypes.dlopen", "import", "exec",
    "pickle.find_class", "marshal.loads", "shutil.", "urllib.", "http.", "ftplib.", "smtplib.", "code.__new__", "os.putenv",
)  # fmt: skip
INPUT_BYTES_MAX = 1 << 20
KEPT_ELEMENTS_MAX = 4_000_000
MAKING = frozenset(
    {"__init__", "reset_parameters", "_init_weights", "init_weights", "__new__", "__deepcopy__", "__setstate__"}
)
LOADING = frozenset({"load_state_dict", "_load_from_state_dict", "load_model"})


class Events:
    """What the audit hook hears: counts, and the first of each kind."""

    def __init__(self, most: int) -> None:
        self.counts: dict[str, int] = {}
        self.seen: dict[tuple[str, str], int] = {}
        self.most = most
        self.on = False

    def hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self.on or not event.startswith(WATCHED):
            return
        self.counts[event] = self.counts.get(event, 0) + 1
        if event in {"exec", "code.__new__"} or len(self.seen) >= self.most:
            return
        said = str(arguments[0])[:200] if arguments else ""
        if event == "open" and len(arguments) > 1:
            said += f" {arguments[1]}"
        self.seen[event, said] = self.seen.get((event, said), 0) + 1


class Lines:
    """Lines of the snapshot that ran."""

    def __init__(self, folder: str) -> None:
        self.folder = folder + os.sep
        self.ran: dict[str, set[int]] = {}

    def trace(self, frame: FrameType, event: str, _: Any) -> Any:
        file = frame.f_code.co_filename
        if not file.startswith(self.folder):
            return None
        self.ran.setdefault(file, set()).add(frame.f_lineno)
        return self.trace


class Tensors:
    """Parameters and buffers: what they held when they were first used, and what they hold in the end."""

    def __init__(self, torch: Any, folder: str) -> None:
        self.torch, self.folder = torch, folder + os.sep
        self.names: dict[int, str] = {}
        self.alive: dict[int, Any] = {}
        self.pending: set[int] = set()
        self.before: dict[int, tuple[str, Any]] = {}
        self.writes: dict[tuple[str, str, str], int] = {}
        self.backward = 0
        self.steps = 0
        self.storages: dict[int, int] = {}

    def watch(self) -> None:
        """Put hooks where parameters are registered, optimisers step and gradients run."""
        torch = self.torch
        hooks = importlib.import_module("torch.nn.modules.module")
        hooks.register_module_parameter_registration_hook(self._registered)
        hooks.register_module_buffer_registration_hook(self._registered)
        importlib.import_module("torch.optim.optimizer").register_optimizer_step_post_hook(self._stepped)
        engine: Any = importlib.import_module("torch.autograd.graph")
        inner = engine._engine_run_backward

        def run_backward(*args: Any, **words: Any) -> Any:
            self.backward += 1
            return inner(*args, **words)

        engine._engine_run_backward = run_backward
        torch.autograd._engine_run_backward = run_backward

    def mode(self) -> Any:
        """A mode under which every operation on a tensor passes here."""
        base = importlib.import_module("torch.utils._python_dispatch").TorchDispatchMode
        tensors = self

        class Watching(base):  # type: ignore[misc,valid-type]
            """Passes each operation on, and notes writes to parameters."""

            @classmethod
            def _should_skip_dynamo(cls) -> bool:
                """No: that would load torch's compiler, which takes longer than most programs here."""
                return False

            def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
                tensors.operation(func, args, kwargs or {})
                return func(*args, **(kwargs or {}))

        return Watching()

    def _registered(self, module: Any, name: str, tensor: Any) -> None:
        if isinstance(tensor, self.torch.Tensor) and id(tensor) not in self.alive:
            self.add(tensor, f"{type(module).__name__}.{name}")

    def add(self, tensor: Any, name: str) -> None:
        self.alive[id(tensor)] = tensor
        self.names[id(tensor)] = name
        self.pending.add(id(tensor))

    def _stepped(self, *_: Any) -> None:
        self.steps += 1

    def operation(self, func: Any, args: Any, words: Any) -> None:
        """One operation: baselines for what is complete by now, and writes."""
        if self.pending and not self._stack()[1]:
            self.baseline()
        schema = func._schema
        if not schema.is_mutable:
            return
        written = [
            a
            for a, s in zip(args, schema.arguments, strict=False)
            if s.alias_info is not None and s.alias_info.is_write
        ]
        written += [
            words[s.name] for s in schema.arguments if s.name in words and s.alias_info and s.alias_info.is_write
        ]
        for value in written:
            for tensor in value if isinstance(value, list | tuple) else (value,):
                self._written(tensor, str(func))

    def _written(self, tensor: Any, operation: str) -> None:
        if not isinstance(tensor, self.torch.Tensor):
            return
        pointers = {t.untyped_storage().data_ptr(): key for key, t in self.alive.items() if not t.is_meta}
        key = pointers.get(tensor.untyped_storage().data_ptr()) if tensor.numel() else None
        if key is not None:
            where, making = self._stack()
            mark = (making or "other", operation, where or "")
            self.writes[mark] = self.writes.get(mark, 0) + 1

    def _stack(self) -> tuple[str | None, str]:
        """Where in the snapshot this happens, and whether something is being made or loaded."""
        frame: FrameType | None = sys._getframe(2)
        where, making = None, ""
        for _ in range(200):
            if frame is None:
                break
            code = frame.f_code
            if where is None and code.co_filename.startswith(self.folder):
                where = f"{code.co_filename.removeprefix(self.folder)}:{frame.f_lineno}"
            if code.co_name in LOADING:
                making = "loading"
            elif code.co_name in MAKING and not making:
                making = "making"
            frame = frame.f_back
        return where, making

    def baseline(self) -> None:
        """Fingerprint what is new and complete."""
        for key in list(self.pending):
            self.pending.discard(key)
            self.before[key] = self.fingerprint(self.alive[key])

    def fingerprint(self, tensor: Any) -> tuple[str, Any]:
        with self.torch.no_grad():
            if tensor.is_meta or tensor.layout is not self.torch.strided:
                return "none", None
            plain = tensor.detach().cpu().contiguous()
            data = plain.reshape(-1).view(self.torch.uint8).numpy().tobytes() if plain.numel() else b""
            kept = plain.double().clone() if plain.numel() <= KEPT_ELEMENTS_MAX and not plain.is_complex() else None
            return "sha256:" + hashlib.sha256(data).hexdigest(), kept

    def changed(self) -> list[dict[str, Any]]:
        """Every tensor that does not hold what it held."""
        found = []
        for key, (digest, kept) in self.before.items():
            now, values = self.fingerprint(self.alive[key])
            if now == digest:
                continue
            entry = {"name": self.names[key][:200], "before": digest, "after": now, "elements": self.alive[key].numel()}
            entry["is_parameter"] = isinstance(self.alive[key], self.torch.nn.Parameter) or bool(
                self.alive[key].requires_grad
            )
            if kept is not None and values is not None and kept.shape == values.shape:
                most = float((values - kept).abs().max()) if kept.numel() else 0.0
                entry["largest_change"] = most if most == most and most != float("inf") else None
            found.append(entry)
        return found

    def leaves(self) -> None:
        """Tensors that take gradients and belong to no module."""
        for thing in gc.get_objects():
            # By type: `isinstance` asks lazy modules for their class, which imports them.
            if not issubclass(type(thing), self.torch.Tensor) or id(thing) in self.alive:
                continue
            if thing.requires_grad and thing.is_leaf:
                self.add(thing, "leaf tensor")


def start(job: dict[str, Any]) -> None:
    """Run the entry point as it would be run by hand."""
    place, _, function = job["entry"].partition(":")
    file = os.path.join(job["code"], place)
    sys.argv = [file, *job["arguments"]]
    if function:
        name = place.removesuffix(".py").replace("/", ".")
        target: Any = importlib.import_module(name)
        for part in function.split("."):
            target = getattr(target, part)
        target()
    elif os.path.isfile(file):
        sys.path.insert(0, os.path.dirname(file))
        runpy.run_path(file, run_name="__main__")
    else:
        runpy.run_module(place, run_name="__main__", alter_sys=True)


def watch(job: dict[str, Any]) -> None:
    """Run under all watchers; write the report whatever happens."""
    events, lines = Events(job["events_max"]), Lines(job["code"])
    sys.addaudithook(events.hear)
    torch = importlib.import_module("torch") if job["torch"] else None
    tensors = Tensors(torch, job["code"]) if torch is not None else None
    before = set(sys.modules)
    ended = "by an error"
    sys.path.insert(0, job["code"])
    try:
        events.on = True
        threading.settrace(lines.trace)
        sys.settrace(lines.trace)
        if tensors is not None:
            tensors.watch()
            with tensors.mode():
                start(job)
        else:
            start(job)
        ended = "by itself"
    except SystemExit as left:
        ended = "by itself" if left.code is None or left.code == 0 else "by itself, with a failure"
    finally:
        sys.settrace(None)
        events.on = False
        report = summary(job, events, lines, tensors)
        report |= {"ended": ended, "modules": sorted(set(sys.modules) - before)[:5000]}
        data = json.dumps(report, ensure_ascii=True, allow_nan=False).encode() + b"\n"
        while data:
            data = data[os.write(job["report"], data) :]


def summary(job: dict[str, Any], events: Events, lines: Lines, tensors: Tensors | None) -> dict[str, Any]:
    """What was seen, as plain data."""
    folder = job["code"] + os.sep
    found: dict[str, Any] = {
        "counts": events.counts,
        "events": [{"event": e, "said": s, "count": n} for (e, s), n in events.seen.items()],
        "lines": {file.removeprefix(folder): sorted(ran) for file, ran in lines.ran.items()},
        "native": native_libraries(),
        "torch": tensors is not None,
    }
    if tensors is not None:
        tensors.baseline()
        found |= {
            "tensors": len(tensors.before),
            "changed": tensors.changed()[:5000],
            "writes": [{"when": w, "operation": o, "where": p, "count": n} for (w, o, p), n in tensors.writes.items()][
                :5000
            ],
            "backward": tensors.backward,
            "steps": tensors.steps,
        }
        tensors.leaves()
        found["gradients"] = sum(t.is_leaf and t.grad is not None for t in tensors.alive.values())
    return found


def native_libraries() -> list[str]:
    """Shared objects that this process has mapped."""
    try:
        with open("/proc/self/maps", encoding="utf-8", errors="replace") as maps:
            return sorted({line.split(None, 5)[5].strip() for line in maps if ".so" in line and line.count(" ") > 5})[
                :2000
            ]
    except OSError:
        return []


def main() -> int:
    """Close in, read the job, watch."""
    closed = enclose(sys.argv[1])
    job = json.loads(sys.stdin.buffer.read(INPUT_BYTES_MAX))
    say(closed.canonical_bytes())
    if not (closed.network and closed.files):
        return 1
    job["report"] = os.dup(1)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(os.open(job["output"], os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), 1)
    os.chdir(job["code"])
    job["torch"] = job["torch"] and importlib.util.find_spec("torch") is not None
    watch(job)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
