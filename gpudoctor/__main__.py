"""Where `gpudoctor` and `python -m gpudoctor` begin."""

import signal

# Until `cli` can answer it in one line, Ctrl-C ends this process as it ends any other: Python would show where in its
# imports it was. Who ignores it, as nohup and scripts do for what runs in the background, goes on ignoring it.
if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def main() -> None:
    """Run the command line."""
    from gpudoctor import cli

    cli.main()


if __name__ == "__main__":
    main()
