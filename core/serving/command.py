"""`python -m core serve`: the prediction API alone, without pages and without torch."""

import argparse
import os
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from core.errors import ConfigError

Result = dict[str, Any]
Verb = Callable[[str, Callable[[argparse.Namespace], Result], str], argparse.ArgumentParser]
BACKEND: Final = "auto"  # the fastest that agrees where `bench` has measured, else onnx, which needs no torch
PORT: Final = 8502
_BACKLOG: Final = 512  # connections that wait to be accepted


def add_serve(verb: Verb) -> None:
    """Add the verb.  verb: makes the parser of a name, of what runs it and of a line about it."""
    parser = verb("serve", serve, "answer predictions over HTTP, without pages")
    about = "models' folders, or projects; the first is the default"
    parser.add_argument("checkpoint", type=Path, nargs="+", metavar="CHECKPOINT", help=about)
    parser.add_argument("--host", default="127.0.0.1", help="0.0.0.0 for all of the network; needs a token")
    parser.add_argument("--port", type=int, default=PORT, help=f"{PORT}, if not given; 0 for a free one")
    parser.add_argument("--token", help="what clients must send; MASKLOOP_TOKEN, if not given")
    parser.add_argument(
        "--backend",
        default=BACKEND,
        help="one that `bench` lists; if not given, the fastest it found that agrees, else onnx",
    )


def serve(args: argparse.Namespace) -> Result:
    """Serve until Ctrl+C. Raises ReadError, ConfigError."""
    from core.inference import load_backend
    from core.networks.runtime import share_cores
    from core.serving.api_app import make_app, make_server
    from core.serving.served import served_checkpoints

    share_cores()
    models = served_checkpoints(args.checkpoint)
    token = args.token if args.token is not None else os.environ.get("MASKLOOP_TOKEN")
    if token is not None and not (token.isascii() and token.isprintable() and token == token.strip()):
        raise ConfigError("The token has other signs than letters, digits and the like.", hint="Choose another.")
    app = make_app(
        models, lambda folder: load_backend(folder, args.backend, unmeasured="onnx"), host=args.host, token=token
    )
    with listen(args.host, args.port) as listening:
        name = f"[{args.host}]" if ":" in args.host else args.host
        address = f"http://{name}:{listening.getsockname()[1]}"
        told = ", ".join(model.name for model in models)
        print(f"Predictions of {told} are at {address}/api until Ctrl+C.", file=sys.stderr, flush=True)
        with suppress(KeyboardInterrupt):
            make_server(app).run(sockets=[listening])
    return {"address": address, "text": "The API has ended."}


def listen(host: str, port: int) -> socket.socket:
    """A socket that connections can come in on. Raises ConfigError for an address that cannot be had."""
    if not 0 <= port < 65_536:
        raise ConfigError(f"{host}:{port} cannot be had.", hint="Ports go from 0 to 65535.")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except OSError as error:
        raise ConfigError(
            f"{host}:{port} cannot be had ({error.strerror}).", hint="Choose another --port or --host."
        ) from error
