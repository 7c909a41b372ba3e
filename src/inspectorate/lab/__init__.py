"""A bench in Linux network namespaces: real training, real inference, real exporters, and the truth kept beside them.

What is real: every packet is made by a program that does the work it stands for. Models are trained by `torch`,
gradients travel through `gloo`, tokens are sampled from trained weights and streamed to clients over HTTP, and flow
records come from `pmacctd` as it is shipped. What is small: the models, the links and the pods, which share the cores
of one machine.

Rules:

- Evidence and truth never meet. What the bench knows (who did what, and the kernel's own byte counters) is written to
  a directory of its own; only the sensors' datagrams reach the collector.
- Everything that the bench starts lives in namespaces of one run, ends by its own process id, and carries a time limit
  that the kernel of this program need not enforce: `timeout` ends it even when the bench itself is killed.
- Nothing in the package imports this one, except the command `inspectorate lab`.
- Modules named `work_*` are the programs that run inside of the namespaces. Only they import torch, and only they
  print: one JSON object per line.

Recorded scenarios are not policed: the gateway measures. Trials (`trial*`) are, by token buckets (`shaping`) or by the
project's own enforcing gateway (`gateway`). Not here: loss and delay, and any claim about how well low-communication
training works at scale. `docs/lab.md` has the measured rates.
"""
