"""Enforcing the limit: a Linux gateway between the pods that passes what a plan names, up to its rate, and nothing else.

Establishes: that the ruleset which the kernel of this gateway ran, as read back from it, holds each pod to a rate and a
burst in each direction and drops everything else; that nobody but the gateway's own program changed it between two
attestations; that a limit was lifted only for content which enough people had approved.

Does not establish: that the gateway is the only way out of a pod (cabling and counters say that), or that the gateway's
kernel is the one it claims to be. Whoever is root on the gateway can make it say anything.

How it fails: closed. Three locks, of which each alone stops traffic, and none of which needs a living process:

1. the rules drop whatever they do not name, and everything once the *switch* lapses: a set element that the kernel itself
   forgets after `reference.SWITCH_TIMEOUT_S`, and that only the daemon renews;
2. what leaves an interface without the priority that only an accepting rule gives it is dropped by the queue of that
   interface: if the rules are flushed, the queues are still there;
3. forwarding is off until the rules have been loaded and read back, and off again when anything about them is wrong.

- `plan`: what an operator writes. `ruleset`, `shaping`: what the kernel is told. `readback`: what it says that it runs.
- `kernel`: load, read, switch, remove: the functions that a bench uses. `generation`: whether anybody changed the rules.
- `windows`, `approvals`, `loading`: the two positions, restricted and loading.
- `serve`, `attest`: the daemon and its statements. `covert`: what is left for a cheater within the limit.
- `reference`: every constant.

Nothing is re-exported.
"""
