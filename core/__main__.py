"""The command line: every step of the loop without a browser. `python -m core VERB --help` explains each.

Progress goes to stderr. With --json the last line of stdout is one JSON object. Exit 0, or 2 with "message hint" on
stderr for what a person can mend. Anything else is our bug and keeps its traceback. The verbs live in core/commands.
"""

import argparse
import json
import sys
from collections.abc import Callable, Sequence

from core.commands import batches, data, models, predicting, training
from core.commands.progress import Result
from core.errors import UserError
from core.serving.command import add_serve


def main(arguments: Sequence[str] | None = None) -> int:
    args = _parser().parse_args(arguments)
    try:
        result: Result = args.verb(args)
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        return 130
    text = result.pop("text", "")
    print(json.dumps(result, ensure_ascii=False) if args.json else text)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m core", description="Maskloop without a browser.")
    verbs = parser.add_subparsers(required=True, metavar="VERB")

    def verb(name: str, run: Callable[[argparse.Namespace], Result], about: str) -> argparse.ArgumentParser:
        added = verbs.add_parser(name, help=about, description=about)
        added.add_argument("--json", action="store_true", help="print one JSON object as the last line")
        added.set_defaults(verb=run)
        return added

    for room in (data, training, models, predicting, batches):
        room.add_verbs(verb)
    add_serve(verb)
    return parser


if __name__ == "__main__":
    sys.exit(main())
