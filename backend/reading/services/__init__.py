"""The verbs of the reading room. Each locks, guards, changes, and records last."""

from backend.reading.services.agreeing_here import agree_here
from backend.reading.services.assigning import assign, hold, release, withdraw
from backend.reading.services.attending import attend, keep_attending, leave
from backend.reading.services.changes import apply_changes, change_json
from backend.reading.services.choosing import begun, open_cases, read_instead
from backend.reading.services.comparing import (
    compare_again,
    compare_readings,
    offer_comparisons_again,
)
from backend.reading.services.evidence import enter_evidence, withdraw_evidence
from backend.reading.services.incidental import report_incidental, take_up_incidental
from backend.reading.services.labelling import defer_label, set_label
from backend.reading.services.leases import note_seen, open_reading, take_lease
from backend.reading.services.looks import note_look
from backend.reading.services.opening import open_case, presegment
from backend.reading.services.presegmentation import attach_presegmentation, on_run_changed
from backend.reading.services.projects import (
    create_project,
    grant_role,
    install_demo,
    install_protocols,
    set_auto_assign,
    use_protocol,
)
from backend.reading.services.prompting import (
    ask_prompt,
    cancel_prompt,
    give_up_on_prompts,
    on_prompt_changed,
)
from backend.reading.services.protocol_models import choose_model, model_for
from backend.reading.services.registering import confirm_registration
from backend.reading.services.reopening import reopen_consensus
from backend.reading.services.rerunning import presegment_again
from backend.reading.services.settling import (
    agree,
    defer,
    propose,
    resolve,
    settle_what_is_decided,
)
from backend.reading.services.signing import object_to_consensus, sign_consensus
from backend.reading.services.submission import hash_of, record_of, submit

__all__ = [
    "agree",
    "agree_here",
    "apply_changes",
    "ask_prompt",
    "assign",
    "attach_presegmentation",
    "attend",
    "begun",
    "cancel_prompt",
    "change_json",
    "choose_model",
    "compare_again",
    "compare_readings",
    "confirm_registration",
    "create_project",
    "defer",
    "defer_label",
    "enter_evidence",
    "give_up_on_prompts",
    "grant_role",
    "hash_of",
    "hold",
    "install_demo",
    "install_protocols",
    "keep_attending",
    "leave",
    "model_for",
    "note_look",
    "note_seen",
    "object_to_consensus",
    "offer_comparisons_again",
    "on_prompt_changed",
    "on_run_changed",
    "open_case",
    "open_cases",
    "open_reading",
    "presegment",
    "presegment_again",
    "propose",
    "read_instead",
    "record_of",
    "release",
    "reopen_consensus",
    "report_incidental",
    "resolve",
    "set_auto_assign",
    "set_label",
    "settle_what_is_decided",
    "sign_consensus",
    "submit",
    "take_lease",
    "take_up_incidental",
    "use_protocol",
    "withdraw",
    "withdraw_evidence",
]
