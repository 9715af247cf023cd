"""Replay in Dagster: the launchpad's choices, and re-execution from failure with a real instance."""

from types import ModuleType

import dagster as dg

from cloudify_pipeline.orchestration.instance import instance
from cloudify_pipeline.sandbox.faults import Fault
from cloudify_pipeline.sandbox.server import Sandbox
from cloudify_pipeline_tests.orchestration.test_runs import metadata, run


def test_re_execute_from_failure_runs_only_settled_and_tries_what_was_not_reached(location: ModuleType, sandbox: Sandbox) -> None:
    sandbox.faults_economic.add(Fault("POST", "^/invoices/drafts$", "status", status=500, times=None))
    with instance() as recorded:
        failed = run(location, "sync", recorded)
        assert not failed.success
        sandbox.faults_economic.clear()
        before = len(sandbox.economic.calls)
        again = location.defs.resolve_job_def("sync").execute_in_process(
            partition_key="nordlys",
            instance=recorded,
            raise_on_error=False,
            op_selection=["ledger__settled"],
        )
        assert again.success
        assert metadata(again, "ledger", "settled")["tried again"] == 2
    assert len(sandbox.economic.booked()) == 2
    assert len(sandbox.economic.calls) > before


def test_from_failure_is_what_dagster_itself_selects(location: ModuleType, sandbox: Sandbox) -> None:
    sandbox.faults_economic.add(Fault("POST", "^/invoices/drafts$", "status", status=500, times=None))
    with instance() as recorded:
        job = dg.reconstructable(_sync)
        failed = dg.execute_job(job, recorded, tags={"dagster/partition": "nordlys"})
        assert [event.step_key for event in failed.all_events if event.is_step_failure] == ["ledger__settled"]
        sandbox.faults_economic.clear()
        options = dg.ReexecutionOptions.from_failure(failed.run_id, recorded)
        with dg.execute_job(job, recorded, tags={"dagster/partition": "nordlys"}, reexecution_options=options) as again:
            assert again.success, [event.message for event in again.all_events if event.is_failure]
            assert {event.step_key for event in again.all_events if event.is_step_success} == {"ledger__settled"}
    assert len(sandbox.economic.booked()) == 2


def _sync() -> dg.JobDefinition:
    from cloudify_pipeline.definitions import defs

    return defs.resolve_job_def("sync")


def test_a_replay_that_chooses_nothing_says_what_can_be_chosen(location: ModuleType) -> None:
    with instance() as recorded:
        run(location, "sync", recorded)
        result = run(location, "replay", recorded)
        failed = [event for event in result.all_events if event.is_step_failure]
    assert [event.step_key for event in failed] == ["stripe"]
    assert "say which records" in str(failed[0].step_failure_data.user_failure_data)


def test_the_launchpad_shows_every_choice_with_its_description(location: ModuleType) -> None:
    scope = location.defs.resolve_job_def("replay").get_run_config_for_partition_key("nordlys")["resources"]["scope"]["config"]
    fields = {name: field for name, field in location.RunScope.model_fields.items() if field.description}
    assert set(scope) == set(fields) - {"since"}
    assert not any(chosen for chosen in scope.values()), "nothing is chosen until somebody fills it in"


def test_a_replay_of_everything_changes_nothing(location: ModuleType, sandbox: Sandbox) -> None:
    with instance() as recorded:
        run(location, "sync", recorded)
        before = len(sandbox.economic.writes())
        result = run(location, "replay", recorded, everything=True)
        assert result.success
        assert metadata(result, "ledger", "documents")["writes"] == 0
    assert len(sandbox.economic.writes()) == before
