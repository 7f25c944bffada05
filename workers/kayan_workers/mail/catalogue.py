"""The 14 mails the web app can name, and what each must and may be told. The texts themselves stand in ``templates/``.

Source: the web app's own templates, with the variables and conditions they were meant to have.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """One mail: its name and its variables, spelled as the web app spells them."""

    name: str
    required: tuple[str, ...]
    """Shown in every such mail; without one of them there is no mail."""
    optional: tuple[str, ...] = ()
    """Each opens a block of its own when it is set."""
    together: Mapping[str, str] = field(default_factory=dict)
    """Variable to the optional one whose block shows it: required when that one is set, never looked at when it is not."""

    @property
    def variables(self) -> tuple[str, ...]:
        return (*self.required, *self.optional, *self.together)

    @property
    def links(self) -> tuple[str, ...]:
        """The variables behind a button: a mail whose button leads nowhere safe is not sent."""
        return tuple(name for name in self.variables if name.endswith("Url"))


_TEMPLATES = (
    Template(name="welcome", required=("userName", "dashboardUrl")),
    Template(name="project-invitation", required=("userName", "inviterName", "projectName", "projectDescription", "projectUrl")),
    Template(name="task-assignment", required=("userName", "taskName", "taskDescription", "dueDate", "priority", "taskUrl")),
    Template(name="asset-shared", required=("sharerName", "assetName", "shareUrl"), optional=("message", "password", "expiresAt")),
    Template(
        name="lead-created",
        required=("userName", "exhibitionName", "leadName", "contactName", "contactEmail", "qualityScore", "leadUrl"),
        optional=("specialRequirements",),
    ),
    Template(
        name="meeting-reminder",
        required=("userName", "meetingTitle", "startTime", "endTime", "location", "meetingUrl"),
        optional=("meetingLink", "agenda"),
    ),
    Template(name="password-reset", required=("userName", "resetUrl", "expiryHours")),
    Template(
        name="notification",
        required=("subject", "title", "userName", "body"),
        optional=("actionUrl",),
        together={"actionText": "actionUrl"},
    ),
    Template(
        name="invitation",
        required=("inviterName", "companyName", "projectName", "projectDescription", "role", "acceptUrl", "expiresInHours"),
        optional=("hasMessage",),
        together={"message": "hasMessage"},
    ),
    Template(
        name="milestone-submitted",
        required=("clientName", "milestoneName", "projectName", "progress", "deliverableCount", "reviewUrl"),
    ),
    Template(name="milestone-approved", required=("clientName", "milestoneName", "projectUrl")),
    Template(name="milestone-revision", required=("clientName", "milestoneName", "feedback", "projectUrl")),
    Template(name="deliverable-uploaded", required=("clientName", "assetName", "projectName", "assetType", "fileSize", "assetUrl")),
    Template(
        name="project-status-update",
        required=(
            "clientName",
            "projectName",
            "overallProgress",
            "completedMilestones",
            "totalMilestones",
            "status",
            "updateMessage",
            "projectUrl",
        ),
    ),
)

CATALOGUE: Mapping[str, Template] = MappingProxyType({template.name: template for template in _TEMPLATES})
"""Every mail by its name."""
