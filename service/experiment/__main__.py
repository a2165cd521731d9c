"""`python -m service.experiment report|plan`: the two commands without the server, so that they start sooner.

GET /experiment/report runs this one.
"""

import typer

from service.experiment.cli import add_experiment_commands

if __name__ == "__main__":
    cli = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    add_experiment_commands(cli)
    cli(prog_name="python -m service.experiment")
