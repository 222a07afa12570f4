"""Run the app in Flower's simulation runtime, which keeps its clients in Ray.

python simulate.py                        eight clients, three of them malicious
python simulate.py --defense fedavg       nobody defends
"""

import argparse
import tempfile
from pathlib import Path

from deployment import Deployment

HERE = Path(__file__).parent
NODES = 8


def main() -> None:
    """Start a SuperLink that simulates its nodes, submit the app and print its log."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--defense", choices=("fedward", "fedavg"), default="fedward")
    parser.add_argument("--malicious", type=int, choices=range(5), default=3)
    parser.add_argument("--rounds", type=int, default=8)
    data = ("mnist-small", "synthetic")
    parser.add_argument("--data", choices=data, default=data[0])
    parser.add_argument("--folder", type=Path, default=None)
    options = parser.parse_args()
    folder = options.folder or Path(tempfile.mkdtemp(prefix="fedward-"))
    deployment = Deployment(folder.resolve())
    results = deployment.folder / f"run-{options.defense}"
    try:
        deployment.start_superlink("--simulation")
        deployment.start_run(
            HERE,
            {
                "rounds": options.rounds,
                "clients": NODES,
                "attackers": options.malicious,
                "defense": options.defense,
                "data": options.data,
                "folder": str(results),
            },
            *("--federation-config", f"num-supernodes={NODES} client-resources-num-cpus=1"),
        )
        deployment.follow("run")
    finally:
        deployment.end_all()
    print(f"The report:  fedward report {results}")


if __name__ == "__main__":
    main()
