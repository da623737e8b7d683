"""A pipeline is given another name: it goes on where it was, and nobody works on under its former name."""

from harness import checks
from harness.data import FIRST, traffic
from harness.lakehouse import QUICK, until


def test_a_renamed_pipeline_goes_on_and_its_former_name_is_refused(workspaces):
    with workspaces.make("rename", **QUICK) as workspace:
        former = workspace.settings["pipeline.name"]
        workspace.topic.send(traffic(71, FIRST, events=400))
        running = workspace.speed()
        until(workspace.has_landed_all, "the first records landed")

        workspace.configure(pipeline__name="renamed")
        refused = workspace.start("speed-layer", "run", "--until-end").expect(2)
        assert "pipeline.name" in refused.err, refused.tail()
        refused = workspace.start("speed-layer", "rename-pipeline", "--from", "somebody-else").expect(2)
        assert former in refused.err, refused.tail()
        for _ in range(2):
            workspace.start("speed-layer", "rename-pipeline", "--from", former).expect(0)

        workspace.topic.send(traffic(72, FIRST, events=200))
        stopped = running.expect(2)
        assert "pipeline.name" in stopped.err and "renamed" in stopped.err, stopped.tail()
        workspace.land()
        assert workspace.has_landed_all()
        checks.landed(workspace)
        workspace.batch("nightly")
        checks.final(workspace, workspace.expected().events, {FIRST})
        workspace.batch("audit")
