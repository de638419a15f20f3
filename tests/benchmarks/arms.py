"""Two or more ways of doing the same work, timed in turn in one process: A B A B ...

A sample during which others used the processor is thrown away and taken again, up to a limit; where the limit is
reached the contaminated samples count, and every place that shows the figure says so.
"""

import statistics
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch

from tests.benchmarks import cpu
from tests.benchmarks.sizes import ROUNDS, SMOKE, TRIES, sized

SHORTEST = 0.3  # seconds of one sample: quicker work is repeated, because others are counted in clock ticks


class ReplayClock:
    """A timer for pytest-benchmark that shows what was measured before."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def play(self, seconds: float) -> None:
        self.now += seconds


@dataclass(frozen=True)
class Arm:
    run: Callable[[], Any]
    scale: float = 1.0  # the whole work is so many times what `run` does
    before: Callable[[], Any] = lambda: None  # not timed


@dataclass
class Timed:
    scale: float
    clean: list[cpu.Used] = field(default_factory=list)
    contaminated: list[cpu.Used] = field(default_factory=list)
    outcome: Any = None

    def of(self, wanted: int) -> list[cpu.Used]:
        """The quietest ones make up for clean ones that are missing."""
        rest = sorted(self.contaminated, key=lambda used: used.others / used.wall)
        return [*self.clean, *rest[: max(0, wanted - len(self.clean))]]


@dataclass
class Race:
    """Measures arms and keeps what is told of them."""

    benchmark: Any
    clock: ReplayClock
    say: Callable[[str], None]
    rounds: int = 0
    timed: dict[str, Timed] = field(default_factory=dict)
    below: list[str] = field(default_factory=list)  # ratios under their floor

    def measure(self, arms: dict[str, Arm], rounds: int, warm_up: tuple[str, ...] = ()) -> dict[str, Any]:
        """The outcome of each arm's last run."""
        self.rounds = rounds = ROUNDS or sized(rounds, 1)
        self.timed = {name: Timed(arm.scale) for name, arm in arms.items()}
        for name in warm_up:
            arms[name].before()
            arms[name].run()
        counts = dict.fromkeys(arms, 1)
        for number in range(rounds * TRIES):
            for name, arm in arms.items():
                if len(self.timed[name].clean) < rounds:
                    counts[name] = _sample(arm, self.timed[name], counts[name])
            if number + 1 >= rounds and all(len(timed.clean) >= rounds for timed in self.timed.values()):
                break
        return {name: timed.outcome for name, timed in self.timed.items()}

    def seconds(self, name: str) -> float:
        timed = self.timed[name]
        return timed.scale * statistics.median(used.wall for used in timed.of(self.rounds))

    def cpu_seconds(self, name: str) -> float:
        """Of all cores and children: with one thread nearly the same on a busy machine as on an idle one."""
        timed = self.timed[name]
        return timed.scale * statistics.median(used.own for used in timed.of(self.rounds))

    def ratio(self, plain: str, engine: str) -> float:
        return self.seconds(plain) / self.seconds(engine)

    def tell(self, name: str, plain: str, engine: str, target: float | None, floor: float) -> float:
        """One line, and the record. The first ratio told is the benchmark's own."""
        ratio = self.ratio(plain, engine)
        scaled = [f"{arm} x{self.timed[arm].scale:g}" for arm in (plain, engine) if self.timed[arm].scale != 1]
        aim = "no target" if target is None else f"target {target:g}, {'reached' if ratio >= target else 'missed'}"
        in_cpu = self.cpu_seconds(plain) / max(self.cpu_seconds(engine), 1e-9)
        line = (f"{name}: {plain} {self.seconds(plain):.3g} s, {engine} {self.seconds(engine):.3g} s, "
                f"ratio {ratio:.2f} ({aim}; of CPU seconds {in_cpu:.2f})")
        line += (f" scaled: {', '.join(scaled)}" if scaled else "") + self._caveat(plain, engine)
        self.say(line)
        self._record(engine, {
            "name": name, "ratio": ratio, "target": target, "scaled": scaled, "cpu_ratio": in_cpu, "line": line,
        })  # fmt: skip
        if ratio < floor and not SMOKE and self.is_clean(plain, engine):
            self.below.append(f"{line}: below {floor:g}")
        return ratio

    def note(self, name: str, ratio: float, target: float, floor: float, text: str) -> None:
        """A ratio that no clock measures."""
        line = f"{name}: {text} (target {target:g}, {'reached' if ratio >= target else 'missed'})"
        self.say(line)
        arm = next(reversed(self.timed))
        self._record(arm, {"name": name, "ratio": ratio, "target": target, "scaled": [], "line": line})
        if ratio < floor:
            self.below.append(f"{line}: below {floor:g}")

    def tell_seconds(self, name: str, arm: str, target: float, ceiling: float) -> None:
        """Of work that has no plain way."""
        seconds = self.seconds(arm)
        line = f"{name}: {seconds:.3g} s (target {target:g}, {'reached' if seconds <= target else 'missed'})"
        line += self._caveat(arm)
        self.say(line)
        self._record(arm, {"name": name, "ratio": target / seconds, "target": 1.0, "scaled": [], "line": line})
        if seconds > ceiling and not SMOKE and self.is_clean(arm):
            self.below.append(f"{line}: above {ceiling:g}")

    def settle(self) -> None:
        """Last of all, when the arms' results were found equal. Contaminated figures fail nothing."""
        assert not self.below, "\n".join(self.below)

    def is_clean(self, *names: str) -> bool:
        return all(len(self.timed[name].clean) >= self.rounds for name in names)

    def _caveat(self, *names: str) -> str:
        if SMOKE:
            return " SMOKE: small work, no figure"
        return "" if self.is_clean(*names) else " CONTAMINATED: others used the processor"

    def _record(self, engine: str, told: dict[str, Any]) -> None:
        info = self.benchmark.extra_info
        if "ratio" not in info:
            info.update({key: told[key] for key in ("ratio", "target", "scaled")})
            info["arms"] = {name: self._arm(name) for name in self.timed}
            info["contaminated"] = not self.is_clean(*self.timed)
            walls = iter([used.wall for used in self.timed[engine].of(self.rounds)])
            self.benchmark.pedantic(lambda: self.clock.play(next(walls)), rounds=self.rounds)
        info.setdefault("ratios", []).append(told)

    def _arm(self, name: str) -> dict[str, Any]:
        timed = self.timed[name]
        used = timed.of(self.rounds)
        return {
            "median_seconds": self.seconds(name),
            "scale": timed.scale,
            "wall": [one.wall for one in used],
            "cpu": [one.own for one in used],
            "cpu_of_others": [one.others for one in used],
            "rejected": len(timed.clean) + len(timed.contaminated) - len(used),
        }


def _sample(arm: Arm, timed: Timed, count: int) -> int:
    """Runs it `count` times; returns how often the next sample should."""
    arm.before()
    began = cpu.read()
    for _ in range(count):
        timed.outcome = arm.run()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    used = cpu.read().since(began)
    if used.wall < SHORTEST and count == 1:
        return _sample(arm, timed, int(SHORTEST / max(used.wall, 1e-4)) + 1)
    one = cpu.Used(used.wall / count, used.own / count, used.others / count)
    (timed.contaminated if used.is_contaminated() else timed.clean).append(one)
    return count
