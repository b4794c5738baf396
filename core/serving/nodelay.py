"""Answers that leave at once, instead of waiting for the last one to be acknowledged.

The server writes the head of an answer and its body in two pieces. By Nagle's rule (RFC 896) the second piece waits for
the acknowledgement of the first, which the other side holds back for up to 40 ms (RFC 1122). asyncio turns the rule off
for sockets that were made with the number of TCP; those of Streamlit were not.
"""

import os
import socket
from contextlib import suppress

import psutil


def set_nodelay() -> int:
    """Turn Nagle's rule off for each TCP socket of this process; how many there were.

    Connections inherit it from the socket that listens (Linux), so once is enough. Where the system does not tell the
    number of a socket's file (Windows) nothing changes.
    """
    done = 0
    with suppress(psutil.Error, OSError):
        for found in psutil.Process().net_connections("tcp"):
            if found.fd < 0:
                continue
            with suppress(OSError), socket.socket(fileno=os.dup(found.fd)) as copy:
                copy.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                done += 1
    return done
