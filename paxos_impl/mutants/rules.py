"""The rule methods: small named methods of the protocol code, each one rule of the papers. Mutants override them."""

from __future__ import annotations

RULE_METHODS: dict[str, tuple[str, ...]] = {
    "acceptor": (
        "precedes", "may_promise", "make_promise", "log_promise", "promise_content", "promise_pages", "may_accept",
        "raise_promise", "has_voted", "cast_vote", "keep_chosen", "log_vote", "chosen_in_log", "may_pre_vote", "is_deposed",
        "on_stable", "cut", "checkpoint", "recover_checkpoint", "recover_promise", "recover_vote", "is_stale",
    ),
    "proposer": (
        "is_quorum", "next_ballot", "note_round", "log_round", "recover_round", "election_wait_ns", "backoff_factor",
        "ask_for_pre_votes", "counts_pre_vote", "on_phase_1_timeout", "hears_quorum", "is_sign_of_life", "is_refused",
        "must_yield", "step_down", "follow", "known_prefix", "first_slot_to_prepare", "counts_promise", "promise_quorum",
        "heed_floors", "inherit", "top_slot", "slots_to_close", "value_to_propose", "on_floor", "is_full", "is_in_progress",
        "refuse", "next_batch", "counts_accepted", "slots_acknowledged", "is_chosen", "release", "learn_chosen",
        "advance_commit", "commit_index", "on_truncated", "pass_over", "retransmit", "value_to_retransmit", "stable_slot",
        "note_stable", "on_catch_up", "waits_in_vain", "on_stepped_down",
    ),
    "promise_book": ("add", "complete", "told"),
    "learner": (
        "is_chosen_vote", "note_commit", "on_second_value", "log_chosen", "chosen_in_log", "apply_ready", "may_apply",
        "answers_clients", "answer", "may_read_locally", "catch_up_peer", "is_cut", "values_to_serve", "wants_snapshot",
        "snapshot_content", "same_snapshot", "pages_to_fetch", "assemble", "may_install", "install", "restore", "cut",
        "cut_slot", "recover_chosen",
    ),
    "replica": ("outcome_of", "progress", "chosen_in_log", "learned", "checkpoint", "on_checkpoint_durable"),
    "tally": ("add", "counted_under", "forget"),
    "state_machine": (
        "open", "session_of", "without_session", "is_duplicate", "answer_again", "remember", "session_to_evict", "cached",
        "image", "restore",
    ),
    "store": ("read", "write", "compare_and_set", "delete", "matches", "append", "snapshot", "restore"),
    "log": (
        "frame", "on_failed_append", "begin_sync", "end_of_sync", "end_sync", "on_failed_sync", "checkpoint_order",
        "remove_before", "read_checkpoint", "read_record", "is_intact", "on_bad_record", "cut_tail", "durable_after_recovery",
    ),
    "gate": ("may_leave", "durable_offset", "release_durable"),
    "client": (
        "next_seq", "answers", "note_version", "outcome_of_expiry", "is_definite_failure", "must_turn_away", "next_server",
    ),
}  # fmt: skip
"""Place in ``Parts`` -> methods."""
