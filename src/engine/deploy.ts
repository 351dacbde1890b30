import { DeploymentStatus } from '../entities/deployment-status.js'
import { DeployError, HandOverError } from './errors.js'
import { EPOCH_LABEL, publicUrl, stageHost } from './names.js'
import { isRetryable } from './claims/settle-failure.js'
import { leaseMarginSeconds, transition } from './states.js'
import { build } from './steps/build.js'
import { clone } from './steps/clone.js'
import { containerNames } from './steps/containers.js'
import { step, type Services, type DeploymentRun } from './steps/deployment-run.js'
import { findBuilt, imageName, reuseImage } from './steps/image.js'
import { type Replaced, route } from './steps/route.js'
import { start } from './steps/start.js'
import { UndoStack } from './undo-stack.js'

/**
 * The recipe: clone → build → start → check → route → running, the undo beside each step. A deployment whose image is
 * there already (an earlier attempt's, or the one it was asked to run again) begins with the start; one whose commit was
 * built before in the same way goes from the clone to the start.
 *
 * Rejects with what went wrong after everything that had been made is removed again; the version that serves is not
 * touched before the last step. Aborting `signal` makes the current step end, and this reject with the signal's reason.
 *
 * @returns the deployment that served before, to be retired
 */
export async function deploy(
  run: DeploymentRun,
  services: Services,
  signal: AbortSignal,
  onUndoError: (error: unknown) => void,
): Promise<Replaced | null> {
  const { app, stage, deployment, configuration } = run
  const undo = new UndoStack(() => mayUndo(run, services))
  const { baseDomain, publicPort, imagePrefix } = services.settings
  const url = publicUrl(stageHost(app.name, stage.name, baseDomain), publicPort)
  let willRetry = false
  try {
    // The next attempt uses the image again.
    undo.push(async () => {
      if (!willRetry) await services.docker.removeImage(imageName(imagePrefix, app.name, deployment.id))
    })
    let image = await step(services, 'reuse', () => reuseImage(run, services, signal))
    if (!image) {
      undo.push(() => services.git.release(app.repoUrl, deployment.id))
      const source = await step(services, 'clone', () => clone(run, services, signal))
      image = await step(services, 'find-built', () => findBuilt(run, source.commitSha, services, signal))
      if (!image) {
        await enter(run, DeploymentStatus.BUILDING, services)
        image = await step(services, 'build', () => build(run, source, services, signal))
      }
    }
    await enter(run, DeploymentStatus.STARTING, services)
    for (const name of containerNames(app.name, deployment.id, configuration.replicas)) {
      const own = { [EPOCH_LABEL]: String(run.claim.epoch) }
      undo.push(() => services.docker.removeContainer(name, 0, own))
    }
    const started = await start(run, image, services, signal)

    await enter(run, DeploymentStatus.ROUTING, services)
    signal.throwIfAborted()
    const replaced = await step(services, 'route', () => route(run, started, services, url, signal))
    await services.git.release(app.repoUrl, deployment.id).catch(onUndoError)
    return replaced
  } catch (cause) {
    // Now, and not after the undo: what is asked meanwhile does not change why it failed.
    const reason: unknown = signal.aborted ? signal.reason : cause
    if (reason instanceof DeployError) reason.phase = run.log.phase
    willRetry = isRetryable(reason, deployment)
    // Handed over, it is for whoever goes on: the image is used again, containers are replaced.
    if (!(reason instanceof HandOverError)) await undo.run(onUndoError)
    throw reason
  }
}

async function enter(run: DeploymentRun, status: DeploymentStatus, services: Services): Promise<void> {
  await step(services, `enter-${status.toLowerCase()}`, () =>
    transition(services.database, run.claim, status),
  )
  run.log.phase = status
  services.wakeups.deploymentChanged(run.deployment.id)
}

/**
 * Reads the truth right before destroying: after a lost claim the names may be another worker's, also one that ends in a
 * moment is as good as lost, and a commit whose answer was lost has made the containers those that serve. What is left then is removed by reconcile.ts.
 */
async function mayUndo(run: DeploymentRun, services: Services): Promise<boolean> {
  const sql = `SELECT status FROM deployment
    WHERE id = $1 AND epoch = $2 AND lease_until > now() + make_interval(secs => $3)`
  const rows = await services.database
    .query<{ status: DeploymentStatus }[]>(sql, [
      run.claim.deploymentId,
      run.claim.epoch,
      leaseMarginSeconds(services.settings.leaseMs),
    ])
    .catch(() => [])
  return rows[0] !== undefined && rows[0].status !== DeploymentStatus.RUNNING
}
