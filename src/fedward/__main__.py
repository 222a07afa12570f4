"""``fedward`` and ``python -m fedward``: the command line; errors become words."""

import sys

BAD_INPUT, CONFLICT, STOPPED, INTERRUPTED = 2, 3, 4, 130


def main() -> None:
    """Exit codes.

    0 done, 1 cells of a grid failed or damaged files were left out of a report, 2 bad input
    or a file that cannot be read or written, 3 the folder is taken or unfinished, 4 a
    client's training failed, 130 Ctrl-C.
    """
    try:
        from fedward.cli.app import app

        app()
    except KeyboardInterrupt:
        print("fedward: stopped", file=sys.stderr)
        sys.exit(INTERRUPTED)
    except SystemExit as end:
        # Typer's own answer to Ctrl-C has the code and no words.
        if end.code == INTERRUPTED:
            print("fedward: stopped", file=sys.stderr)
        raise
    except Exception as error:
        code = exit_code(error)
        if code is None:
            raise
        from fedward.settings import in_words

        print(f"fedward: {in_words(error)}", file=sys.stderr)
        sys.exit(code)


def exit_code(error: Exception) -> int | None:
    """The exit code of an error that is the user's to mend; None for a defect of ours."""
    from fedward.cli.session import Interrupted, Stopped
    from fedward.simulation.folder import RunLocked
    from fedward.simulation.runner import RunUnfinished

    if isinstance(error, Interrupted):
        return INTERRUPTED
    if isinstance(error, Stopped):
        return STOPPED
    if isinstance(error, RunLocked | RunUnfinished):
        return CONFLICT
    return BAD_INPUT if isinstance(error, ValueError | OSError) else None


if __name__ == "__main__":
    main()
