"""Whether a member of a replica set may be taken away now. Decides, and does nothing else.

A set keeps serving while a majority of its members does. So one member at a time
has the turn, and the next one only when that one is back on a new machine and has
caught up. Secondaries go first; the primary goes last, after it has stepped down.
"""

from dataclasses import dataclass
from typing import Optional

# A member that is further behind is not there yet. An idle set writes every 10 s.
MAX_LAG = 30
# Who has not asked for so long no longer wants to go.
WISH = 120
# The primary lets the others ask first for so long.
COURTESY = 60
# A turn that nobody used: its roll was called off.
TURN = 30 * 60

GO, WAIT, STEP_DOWN, UNKNOWN = "go", "wait", "step down", "unknown"


@dataclass(frozen=True)
class Member:
    """A member as the set sees it. `lag` in seconds behind the primary, none where it is not known."""

    name: str
    state: str
    lag: Optional[float] = 0


@dataclass(frozen=True)
class Turn:
    """Whose turn it is since when, and which machine that member had then."""

    member: str
    machine: Optional[str]
    since: float


@dataclass(frozen=True)
class Wish:
    """When a member was first and last asked for, in one go."""

    first: float
    last: float


@dataclass(frozen=True)
class Answer:
    """What to do, and a sentence that says why."""

    kind: str
    why: str


def wished(old, now):
    """The wish of a member that is asked for now."""
    return Wish(old.first if old and now - old.last <= WISH else now, now)


def trouble(member):
    """What keeps a member from being counted on, or nothing."""
    if member.state not in ("PRIMARY", "SECONDARY"):
        return f"{member.name} is {member.state}"
    if member.lag is None or member.lag > MAX_LAG:
        behind = "an unknown time" if member.lag is None else f"{member.lag:.0f} s"
        return f"{member.name} is {behind} behind"
    return None


def is_over(turn, members, machines, now):
    """Whether the member with the turn is back: on another machine, or still there after a long time."""
    holder = next((member for member in members if member.name == turn.member), None)
    if holder is None:
        return True
    came_back = machines.get(turn.member) != turn.machine
    return trouble(holder) is None and (came_back or now - turn.since > TURN)


def decide(asked, members, machines, turn, wishes, now):
    """May `asked` be taken away? `machines` and `wishes` are by member; `wishes` has this question already."""
    this = next((member for member in members if member.name == asked), None)
    if this is None:
        known = ", ".join(sorted(member.name for member in members))
        return Answer(UNKNOWN, f"the set has no member {asked}, only {known}")
    others = [member for member in members if member.name != asked]
    if not others:
        return Answer(GO, f"{asked} is the only member: the set is away while it is")

    troubles = [text for text in map(trouble, others) if text]
    if troubles:
        return Answer(WAIT, f"{asked} has to stay: {', '.join(troubles)}")

    mine = turn is not None and turn.member == asked and not is_over(turn, members, machines, now)
    if turn is not None and turn.member != asked and not is_over(turn, members, machines, now):
        return Answer(WAIT, f"{asked} has to stay: {turn.member} has its turn, and is not back on a new machine yet")

    if this.state == "PRIMARY":
        if not mine:
            waiting = sorted(
                member.name
                for member in others
                if member.name in wishes and now - wishes[member.name].last <= WISH
            )
            if waiting:
                return Answer(WAIT, f"{asked} is the primary, and goes after the secondaries that wait: {', '.join(waiting)}")
            left = COURTESY - (now - wishes[asked].first) if asked in wishes else COURTESY
            if left > 0:
                return Answer(WAIT, f"{asked} is the primary: it steps down in {left:.0f} s, unless a secondary wants to go")
        return Answer(STEP_DOWN, f"{asked} is the primary, and steps down")

    if not any(member.state == "PRIMARY" for member in others):
        return Answer(WAIT, f"{asked} has to stay: the set has no primary")
    return Answer(GO, f"{asked} may go: everybody else is there")
