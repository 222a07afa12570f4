"""Run the app on eight SuperNodes on this machine, three of them malicious.

python deploy.py                        Fedward defends
python deploy.py --defense fedavg       nobody does
python deploy.py --folder DIR           go on where an earlier start in DIR stopped
"""

import argparse
import tempfile
from pathlib import Path

from deployment import Deployment

HERE = Path(__file__).parent
NODES = 8


def main() -> None:
    """Set everything up, run, and end what was started."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--defense", choices=("fedward", "fedavg"), default="fedward")
    parser.add_argument("--malicious", type=int, choices=range(5), default=3)
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--folder", type=Path, default=None)
    options = parser.parse_args()
    folder = options.folder or Path(tempfile.mkdtemp(prefix="fedward-"))
    deployment = Deployment(folder.resolve())
    try:
        run(deployment, options.defense, options.malicious, options.rounds)
    finally:
        deployment.end_all()


def run(deployment: Deployment, defense: str, malicious: int, rounds: int) -> None:
    """Start the SuperLink and the SuperNodes, submit the app and print its log."""
    print(f"Keys, logs and verdicts are in {deployment.folder}")
    deployment.start_superlink()
    print(f"SuperLink on port {deployment.port}: TLS, SuperNodes need a registered key")
    attackers = []
    for client in range(NODES):
        name = f"node-{client}"
        node = deployment.register(name)
        config: dict[str, object] = {"partition-id": client, "num-partitions": NODES}
        if client < malicious:
            attackers.append(node)
            config["malicious"] = True
        deployment.start_supernode(name, config)
        print(f"{name} is {node}{', malicious' if client < malicious else ''}")
    results = deployment.folder / f"run-{defense}"
    deployment.start_run(
        HERE,
        {
            "rounds": rounds,
            "clients": NODES,
            "defense": defense,
            "folder": str(results),
            "drill": " ".join(map(str, attackers)),
        },
    )
    deployment.follow("run")
    print(f"The report:  fedward report {results}")


if __name__ == "__main__":
    main()
