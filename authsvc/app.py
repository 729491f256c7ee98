"""Puts authsvc together from its leaves, top to bottom; tests and the demo call the same function with other ones.

The clock is an argument here, and nowhere a setting.
"""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from prometheus_client import CollectorRegistry, Counter, Gauge

from authsvc.activity import Activity
from authsvc.actor import Actors
from authsvc.events import Event, EventType
from authsvc.facts import FactSeal
from authsvc.feeder import Feeder
from authsvc.flows.approvals import Approvals
from authsvc.flows.assign import CustomerLists
from authsvc.flows.attempts import Attempts
from authsvc.flows.carry_out import CarryOut
from authsvc.flows.decide import Decisions
from authsvc.flows.deliveries import Deliveries, NotifyService
from authsvc.flows.first_password import FirstPasswords
from authsvc.flows.hire import Hiring
from authsvc.flows.import_staff import Imports
from authsvc.flows.login import Logins, Tokens
from authsvc.flows.password_change import PasswordChanges
from authsvc.flows.policy_changes import PolicyChanges
from authsvc.flows.privileged import PrivilegedHires
from authsvc.flows.proof import ProofOfPhone
from authsvc.flows.request_clocks import RequestClocks
from authsvc.flows.seating import Seating
from authsvc.flows.second_factor import SecondFactors
from authsvc.flows.session_life import SessionLife
from authsvc.flows.staff_changes import StaffChanges
from authsvc.flows.submit import Submissions
from authsvc.flows.sweeps import Sweeps
from authsvc.front import CheckFront
from authsvc.hash_schemes import HashParameters
from authsvc.hashing import PasswordHasher, PoolLimits, Target
from authsvc.notices import Notices
from authsvc.profile import Profile
from authsvc.recorder import OutboxRecorder
from authsvc.requests import Kind
from authsvc.rpc.approvals import ApprovalServicer
from authsvc.rpc.check import CheckServicer
from authsvc.rpc.directory import DirectoryAdminServicer
from authsvc.rpc.idempotent import Retries
from authsvc.rpc.login import LoginService
from authsvc.rpc.policy import PolicyAdminServicer, PolicyServicer
from authsvc.rpc.requests import RequestServicer
from authsvc.rpc.staff import StaffAdminServicer
