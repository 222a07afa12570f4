"""A client: trains on its own images, or plants its part of a backdoor."""

import torch
from flwr.app import ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp

from fedward.engine.loop import train as fit
from fedward.simulation.federation import Federation
from fedward.simulation.received import honest_plan, poisoned_plan
from flower_mnist.task import prepare

app = ClientApp()


@app.train()
def train(message: Message, context: Context) -> Message:
    """Train from the global model and send the local one."""
    torch.set_num_threads(1)
    fed = prepare(context.run_config)
    client = int(context.node_config["partition-id"])
    index = int(str(message.content.config_records["config"]["server-round"])) - 1
    arrays = message.content.array_records["arrays"]
    params = fed.layout.flatten(arrays.to_torch_state_dict())
    make = poisoned_plan if attacks(context, fed, index) else honest_plan
    plan = make(fed, client, index)
    fed.layout.load(fed.model, fit(fed.model, params, fed.data.train.pixels, plan))
    content = RecordDict(
        {
            "arrays": ArrayRecord(fed.model.state_dict()),
            "metrics": MetricRecord({"num-examples": len(fed.shards[client])}),
        }
    )
    return Message(content, reply_to=message)


def attacks(context: Context, fed: Federation, index: int) -> bool:
    """Whether this client attacks in round ``index``, counted from 0."""
    client = int(context.node_config["partition-id"])
    malicious = context.node_config.get("malicious", client < fed.config.attackers.count)
    return bool(malicious) and fed.config.attackers.active(index)
