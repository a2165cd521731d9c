"""Which checks there are, in the order in which they are shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from service.doctor import bundles, clock, machine, network, settings, software, store
from service.doctor.finding import Check

WITHOUT_SETTINGS: Mapping[str, Sequence[Check]] = {
    "machine": (
        *(machine.cpus, machine.memory, machine.files),
        *(machine.backlog, machine.flags, machine.uptime),
    ),
    "clock": (clock.wall, clock.synchronised),
    "software": (software.interpreter, software.extensions),
}
"""What can be said even where the settings cannot be read."""

ALL: Mapping[str, Sequence[Check]] = {
    "settings": (settings.variables, settings.experiment, machine.workers),
    **WITHOUT_SETTINGS,
    "extras": (software.extras,),
    "bundles": (bundles.bundles,),
    "network": (network.port, network.arms, network.collector),
    "events": (store.store,),
}
