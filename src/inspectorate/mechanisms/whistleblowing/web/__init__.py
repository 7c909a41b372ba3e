"""What a source sees of an intake: pages, and the server that hands them out and takes reports in.

    pages/     what is shown, in six languages; the fields of the forms
    site       the addresses, and what each does with the store of the intake
    upload     forms as they come: texts are bounded, files pass through into the sealing
    wire       one connection: one request, read strictly, and one answer
    answers    answers of one size, head included
    limits     bytes, files, time and places that anybody may take
    server     the socket, the places, what is ended for the next
    serving    a server and the ticks of its intake, from start to end
    tor        the onion service in front

Two libraries read what comes from outside: `h11` (HTTP/1.1) and `python-multipart` (forms). A larger server was not taken: uvicorn
has no deadline for the head of a request and no least rate, its frameworks keep forms in temporary files on the disk, and all write
a log of requests unless told otherwise. See docs/intake.md.
"""
