"""What is mutated, and the tests that should notice."""

import attrs


@attrs.frozen
class Target:
    """Modules that keep one promise."""

    modules: tuple[str, ...]
    """A module's name, with ":" and a function's where only that is meant."""
    tests: tuple[str, ...]
    share: float
    """Of the mutants of a sample."""


TARGETS = {
    "paid step": Target(
        modules=(
            "_submit.submitter",
            "_submit.gate",
            "_submit.work",
            "_submit.limit",
            "_submit.policy",
        ),
        tests=(
            "tests/test_active_limit.py",
            "tests/test_gate.py",
            "tests/test_work.py",
            "tests/test_submit.py",
            "tests/test_waiting.py",
            "tests/test_delivered.py",
            "tests/test_callbacks.py",
            "tests/journal/test_continue.py",
            "tests/mutation/schedules.py",
        ),
        share=0.35,
    ),
    "ledger": Target(
        modules=(
            "journal.attempts",
            "journal.jobs",
            "journal.endings",
            "journal.entry",
            "journal.fresh",
            "journal.kept",
            "journal.store",
        ),
        tests=(
            "tests/journal/test_moves.py",
            "tests/journal/test_store.py",
            "tests/journal/test_attempts.py",
            "tests/journal/test_jobs.py",
            "tests/journal/test_continue.py",
            "tests/test_callbacks.py",
            "tests/test_charged.py",
            "tests/test_delivered.py",
            "tests/test_kept.py",
            "tests/mutation/schedules.py",
        ),
        share=0.35,
    ),
    "verdicts": Target(
        modules=(
            "providers.verdicts",
            "providers.calls",
            "providers.ids",
            "providers.replies",
            "providers.songs",
            "providers.rules",
            "_polling.judgement",
        ),
        tests=(
            "tests/test_judgement.py",
            "tests/test_delivered.py",
            "tests/providers/test_calls.py",
            "tests/providers/test_ids.py",
            "tests/providers/test_replies.py",
            "tests/providers/test_songs.py",
            "tests/providers/test_verdicts.py",
            "tests/providers/test_udioapi_v1.py",
            "tests/test_odd_services.py",
            "tests/test_poller.py",
        ),
        share=0.2,
    ),
    "redaction": Target(
        modules=(
            "_http.account",
            "_http.messages",
            "_http.exchange:_reason",
            "_http.exchange:_translated",
            "_urls:without_query",
        ),
        tests=(
            "tests/providers/test_calls.py",
            "tests/providers/test_replies.py",
            "tests/test_http.py",
            "tests/test_user_client.py",
            "tests/test_download.py",
        ),
        share=0.1,
    ),
}
SLOW = (
    "test_processes_started_on_one_journal_pay_once_for_each_song",
    "test_control_without_a_journal_each_process_pays",
    "test_thousands_of_songs_are_heap_entries_and_a_handful_of_tasks",
    "test_any_answer_to_a_look_has_a_documented_end",
    "test_any_request_is_taken_or_refused_in_words",
    "test_a_storm_of_cancellations_costs_no_connection",
    "test_a_stock_client_does_not_survive_that_storm",
    "test_an_answer_cut_anywhere_gives_what_arrived",
)
"""Tests that take too long for what they add here."""
