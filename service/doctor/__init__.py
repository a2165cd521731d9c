"""`python -m service doctor`: what is wrong with this machine, these settings and what they name, and what to do.

Every check looks at the real thing by the very code that serves: bundles are loaded and proved, ports bound, arms
asked. Nothing is changed: no table is made or migrated, no file is left behind.

    finding.py    what a check says, and running all of them
    checks.py     which checks there are, by group
    machine.py    CPUs, memory, limits of the system
    clock.py      whether time can be trusted
    software.py   what is installed and built
    settings.py   variables and the first document of experiments
    bundles.py    the models of this process
    network.py    the port, arms elsewhere, the collector of traces
    store.py      the event store
    render.py     for people, for programs
    cli.py        the command
"""
