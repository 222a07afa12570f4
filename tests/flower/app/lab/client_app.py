"""One client; ``role`` in its SuperNode's configuration says of which kind."""

import os
import signal
import time

import numpy as np
from flwr.app import Array, ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp

from lab.training import trained

app = ClientApp()

HANGING_ROUND = 2


@app.train()
def train(message: Message, context: Context) -> Message:
    role = str(context.node_config["role"])
    client = int(context.node_config["partition-id"])
    server_round = message.content.config_records["config"]["server-round"]
    if role == "crashing" and server_round == HANGING_ROUND:
        os.kill(os.getpid(), signal.SIGKILL)
    if role == "crashing":
        raise MemoryError("no room for the images")
    if role in ("slow", "doomed") and server_round == HANGING_ROUND:
        time.sleep(
            float(context.run_config["patience"]) + float(context.run_config["late"])
        )
    model = {name: a.numpy() for name, a in message.content.array_records["arrays"].items()}
    local = trained(model, client, malicious=role == "malicious")
    arrays = {name: Array(np.ascontiguousarray(values)) for name, values in local.items()}
    samples = 10**12 if role == "lying" else 1000
    content = RecordDict(
        {
            "arrays": ArrayRecord(arrays),
            "metrics": MetricRecord({"num-examples": samples}),
        }
    )
    return Message(content, reply_to=message)
