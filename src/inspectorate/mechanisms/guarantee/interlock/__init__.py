"""The path between clients and chips: what it lets through, and how it closes.

- `gate`: what the path asks of the machine that decides, and how each refusal looks to a client.
- `path`: the one address that clients know; `desk` is what its connections share.
- `wire`, `asking`: a client's bytes, its content. `answering`: the server's.
- `serving`, `upload`: one request, one model.
- `bucket`: the limit of a direction. `sampling`, `samples`: which requests are drawn, and where they wait.
- `holding`, `latch`: work that does not pass the path, and the loss of the processor itself.
"""
