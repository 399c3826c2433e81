"""Choose the settings of a run from its data set and its machine."""

from anchorloc.plan.choice import Choice, Facts, value_at
from anchorloc.plan.fingerprint import Fingerprint, fingerprint
from anchorloc.plan.machine import Machine, this_machine
from anchorloc.plan.plan_table import plan_rows, plan_table
from anchorloc.plan.planner import Plan, PlanRequest, make_plan, read_request
from anchorloc.plan.planning_rules import NETWORK

__all__ = [
    "NETWORK",
    "Choice",
    "Facts",
    "Fingerprint",
    "Machine",
    "Plan",
    "PlanRequest",
    "fingerprint",
    "make_plan",
    "plan_rows",
    "plan_table",
    "read_request",
    "this_machine",
    "value_at",
]
