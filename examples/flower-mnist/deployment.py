"""A Flower deployment on this machine: one SuperLink, many SuperNodes, TLS and known keys.

Everything lies in one folder and listens on the loopback address only. Each process leads
a group of its own, so that ending it ends what it started, and nothing else.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from certificates import authority, node_key, server_certificate

HOST = "127.0.0.1"
NAME = "deployment"


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


@dataclass
class Deployment:
    """Processes and files of one deployment.

    Attributes:
        folder: keys, certificates, logs and Flower's database.
        port: the SuperLink's, where SuperNodes and ``flwr`` find it.
        running: processes by name.
        started: process groups of everything that was ever started.
    """

    folder: Path
    port: int = field(default_factory=free_port)
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    started: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        for name in ("keys", "logs", "home"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        authority(self.keys)
        server_certificate(self.keys, HOST)
        (self.folder / "home" / "config.toml").write_text(
            f'[superlink]\ndefault = "{NAME}"\n\n[superlink.{NAME}]\n'
            f'address = "{HOST}:{self.port}"\n'
            f'root-certificates = "{self.keys / "ca.crt"}"\n'
        )

    @property
    def keys(self) -> Path:
        """Private keys, readable by their owner only, and certificates."""
        return self.folder / "keys"

    def log(self, name: str) -> str:
        """What a process has written."""
        return (self.folder / "logs" / f"{name}.log").read_text(errors="replace")

    def start_superlink(self, *options: str) -> None:
        """Start the server and wait until it listens; SuperNodes need a key by default."""
        self._start(
            "superlink",
            *(sys.executable, str(Path(__file__).with_name("superlink.py"))),
            *("--host", HOST, "--port", str(self.port)),
            *("--ssl-ca-certfile", str(self.keys / "ca.crt")),
            *("--ssl-certfile", str(self.keys / "server.crt")),
            *("--ssl-keyfile", str(self.keys / "server.key")),
            *("--database", str(self.folder / "state.db")),
            # Fedward is in the environment already; nothing is fetched.
            "--disable-runtime-dependency-installation",
            *(options or ("--enable-supernode-auth",)),
        )
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            self.check("superlink")
            with socket.socket() as probe:
                if probe.connect_ex((HOST, self.port)) == 0:
                    return
            time.sleep(0.1)
        raise TimeoutError(f"the SuperLink does not listen:\n{self.log('superlink')}")

    def register(self, name: str) -> int:
        """Make a SuperNode's key and tell the SuperLink the public half; the node's id."""
        public = node_key(self.keys, name)
        done = self.flwr("supernode", "register", str(public), NAME, "--format", "json")
        return int(json.loads(done)["node-id"])

    def start_supernode(
        self, name: str, config: Mapping[str, object], *options: str
    ) -> None:
        """Start a client; its options replace the usual proof of identity if given."""
        usual = (
            *("--root-certificates", str(self.keys / "ca.crt")),
            *("--auth-supernode-private-key", str(self.keys / f"{name}.key")),
        )
        self._start(
            name,
            *("flower-supernode", "--superlink", f"{HOST}:{self.port}"),
            *("--host", HOST, "--port", str(free_port())),
            *("--node-config", " ".join(f"{k}={json.dumps(v)}" for k, v in config.items())),
            *(options or usual),
        )

    def flwr(self, *words: str) -> str:
        """What a ``flwr`` command answers."""
        done = subprocess.run(
            ["flwr", *words],
            env=self.environment(),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(
                f"flwr {' '.join(words)} failed:\n{done.stdout}{done.stderr}"
            )
        return done.stdout

    def start_run(self, app: Path, config: Mapping[str, object], *options: str) -> None:
        """Submit an app and follow its log in a process called ``run``."""
        pairs = " ".join(f"{key}={json.dumps(value)}" for key, value in config.items())
        words = ("flwr", "run", str(app), NAME, "--stream", "--run-config", pairs)
        self._start("run", *words, *options)

    def follow(self, name: str) -> None:
        """Print what a process writes until it ends."""
        process, shown = self.running[name], 0
        while True:
            ended = process.poll() is not None
            text = self.log(name)
            print(text[shown:], end="", flush=True)
            shown = len(text)
            if ended:
                break
            time.sleep(0.5)

    def check(self, name: str) -> None:
        """Say what a process wrote if it has ended."""
        process = self.running[name]
        if process.poll() is not None:
            raise RuntimeError(f"{name} ended with {process.returncode}:\n{self.log(name)}")

    def end(self, name: str, how: int = signal.SIGTERM) -> None:
        """End a process and what it started; by force if it does not go in ten seconds.

        What it started may outlive it by a moment, so the whole group gets the last word.
        """
        process = self.running.pop(name)
        for signal_sent in (how, signal.SIGKILL):
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal_sent)
            with suppress(subprocess.TimeoutExpired):
                process.wait(10)

    def end_all(self) -> None:
        """End everything that was started."""
        for name in [*self.running][::-1]:
            self.end(name)

    def environment(self) -> dict[str, str]:
        """Flower's files in our folder, no calls home, one thread a process."""
        return {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "FLWR_HOME": str(self.folder / "home"),
            "FLWR_TELEMETRY_ENABLED": "0",
            "FLWR_DISABLE_UPDATE_CHECK": "1",
            "OMP_NUM_THREADS": "1",
            "NO_COLOR": "1",
            "COLUMNS": "200",
        }

    def _start(self, name: str, *command: str) -> None:
        with (self.folder / "logs" / f"{name}.log").open("ab") as log:
            self.running[name] = subprocess.Popen(
                command,
                env=self.environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.started.append(self.running[name].pid)
