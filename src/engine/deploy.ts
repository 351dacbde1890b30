import { DeploymentStatus } from '../entities/deployment-status.js'
import type { Image } from './docker/docker.js'
import { DeployError, HandOverError } from './errors.js'
import { isRetryable } from './queue/settle-failure.js'
import { leaseMarginSeconds, transition } from './queue/states.js'
import { step, type Services } from './services.js'
import { build } from './steps/build.js'
import { check } from './steps/check.js'
import { clone } from './steps/clone.js'
import type { DeploymentRun } from './steps/deployment-run.js'
import { findBuilt, removeImage, reuseImage } from './steps/image.js'
import { route } from './steps/route.js'
import { removeContainers, start } from './steps/start.js'
import { warn } from './steps/warn.js'
import { announceSwitch } from './traffic/announce.js'
import { retire } from './traffic/retire.js'
import { UndoStack } from './undo-stack.js'

/**
 * The recipe: clone → build → start → check → route → retire, the undo beside each step. Resolves as soon as the
 * deployment serves and that is announced; what served before is retired in the background.
 *
 * Rejects with what went wrong after everything that had been made is removed again; until the traffic moves, the version
 * that serves is not touched. Aborting the run's signal makes the current step end, and this reject with the signal's reason.
 */
export async function deploy(run: DeploymentRun, services: Services): Promise<void> {
  const undo = new UndoStack(() => mayUndo(run, services))
  let willRetry = false
  try {
    // The next attempt uses the image again.
    undo.push(() => (willRetry ? Promise.resolve() : removeImage(run, services)))
    const image =
      (await step(services, 'reuse', () => reuseImage(run, services))) ?? (await cloneAndBuild(run, services))

    await enter(run, DeploymentStatus.STARTING, services)
    undo.push(() => removeContainers(run, services))
    const started = await start(run, image, services)
    const healthy = await check(run, started, services)
    await warn(run, { image, healthy }, services)

    await enter(run, DeploymentStatus.ROUTING, services)
    const replaced = await route(run, healthy, services)
    // It serves, whatever dies: from here on nothing may fail the deployment.
    await announceSwitch(run.stage.id, services)
    if (replaced) run.inBackground((stopping) => retire(replaced, services, stopping))
  } catch (cause) {
    // Now, and not after the undo: what is asked meanwhile does not change why it failed.
    const reason: unknown = run.signal.aborted ? run.signal.reason : cause
    if (reason instanceof DeployError) reason.phase = run.log.phase
    willRetry = isRetryable(reason, run.deployment)
    // Handed over, it is for whoever goes on: the image is used again, containers are replaced.
    if (!(reason instanceof HandOverError)) await undo.run(run.onUndoError)
    throw reason
  }
}

/** An image that an earlier attempt made, or that is to be run again, needs neither; one that was built alike no build. */
async function cloneAndBuild(run: DeploymentRun, services: Services): Promise<Image> {
  const source = await step(services, 'clone', () => clone(run, services))
  const built = await step(services, 'find-built', () => findBuilt(run, source.commitSha, services))
  if (built) return built
  await enter(run, DeploymentStatus.BUILDING, services)
  return step(services, 'build', () => build(run, source, services))
}

async function enter(run: DeploymentRun, status: DeploymentStatus, services: Services): Promise<void> {
  await step(services, `enter-${status.toLowerCase()}`, () =>
    transition(services.database, run.claim, { to: status }),
  )
  run.log.phase = status
  services.wakeups.deploymentChanged(run.deployment.id)
}

/**
 * Reads the truth right before destroying: after a lost claim the names may be another worker's, also one that ends in a
 * moment is as good as lost, and a commit whose answer was lost has made the containers those that serve. What is left
 * then is removed by traffic/reconcile.ts.
 */
async function mayUndo(run: DeploymentRun, services: Services): Promise<boolean> {
  const sql = `SELECT status FROM deployment
    WHERE id = $1 AND epoch = $2 AND lease_until > now() + make_interval(secs => $3)`
  const { deploymentId, epoch } = run.claim
  const rows = await services.database
    .query<{ status: DeploymentStatus }[]>(sql, [
      deploymentId,
      epoch,
      leaseMarginSeconds(services.settings.leaseMs),
    ])
    .catch(() => [])
  return rows[0] !== undefined && rows[0].status !== DeploymentStatus.RUNNING
}
