"""An agent of the plan in a process of its own: what the launcher's child becomes."""

from __future__ import annotations

import gc
from pathlib import Path

from harness.cluster_setup import agent_specs, make_config, make_parts
from harness.worlds.real.recorder import AgentRecorder
from nemesis.draws import stream
from nemesis.plan import Plan
from paxos_impl.process.host import Host
from paxos_impl.process.mailbox import Mailbox, SeqQueue
from paxos_impl.process.panel import PANEL_BYTES, Panel


def panel_of(memory: memoryview, agent: int) -> Panel:
    """Panels lie side by side in the run's shared memory, by agent id."""
    return Panel(memory[agent * PANEL_BYTES : (agent + 1) * PANEL_BYTES])


def log_path(plan: Plan, directory: Path, agent: int, incarnation: int) -> Path:
    """Where that incarnation prints."""
    return directory / "logs" / f"{agent_specs(plan)[agent].name}.{incarnation}.log"


def client_log(directory: Path, address: int) -> Path:
    """Where that client process prints."""
    return directory / "logs" / f"client{address}.log"


def run_agent(
    plan: Plan,
    directory: Path,
    data_directory: Path,
    queue: SeqQueue,
    memory: memoryview,
    agent: int,
    incarnation: int,
) -> int:
    """Until it is told to stop or fails; returns the exit code. ``directory``: of the run."""
    gc.set_threshold(50_000, 20, 50)  # most of what is allocated are messages, which the collector need not look at
    name = agent_specs(plan)[agent].name
    host = Host(
        make_config(plan, agent),
        Mailbox(queue, agent, incarnation),
        data_directory / name,
        panel_of(memory, agent),
        AgentRecorder(directory, name, incarnation),
        stream(f"{plan.seed}/agent/{name}/{incarnation}"),
        make_parts(plan),
    )
    return host.run()
