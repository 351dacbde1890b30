import { DeploymentStatus } from '../entities/deployment-status.js'
import { DeployError, HandOverError } from './errors.js'
import { EPOCH_LABEL, publicUrl, stageHost } from './names.js'
import { isRetried } from './claims/settle-failure.js'
import { leaseMarginSeconds, transition } from './states.js'
import { build } from './steps/build.js'
import { clone } from './steps/clone.js'
import { containerNames } from './steps/containers.js'
import { step, type Tools, type Work } from './steps/context.js'
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
  work: Work,
  tools: Tools,
  signal: AbortSignal,
  onUndoError: (error: unknown) => void,
): Promise<Replaced | null> {
  const { app, stage, deployment, configuration } = work
  const undo = new UndoStack(() => mayUndo(work, tools))
  const { baseDomain, publicPort, imagePrefix } = tools.settings
  const url = publicUrl(stageHost(app.name, stage.name, baseDomain), publicPort)
  let goesOn = false
  try {
    // The next attempt uses the image again.
    undo.push(async () => {
      if (!goesOn) await tools.docker.removeImage(imageName(imagePrefix, app.name, deployment.id))
    })
    let image = await step(tools, 'reuse', () => reuseImage(work, tools, signal))
    if (!image) {
      undo.push(() => tools.git.release(app.repoUrl, deployment.id))
      const source = await step(tools, 'clone', () => clone(work, tools, signal))
      image = await step(tools, 'find-built', () => findBuilt(work, source.commitSha, tools, signal))
      if (!image) {
        await enter(work, DeploymentStatus.BUILDING, tools)
        image = await step(tools, 'build', () => build(work, source, tools, signal))
      }
    }
    await enter(work, DeploymentStatus.STARTING, tools)
    for (const name of containerNames(app.name, deployment.id, configuration.replicas)) {
      const own = { [EPOCH_LABEL]: String(work.claim.epoch) }
      undo.push(() => tools.docker.removeContainer(name, 0, own))
    }
    const started = await start(work, image, tools, signal)

    await enter(work, DeploymentStatus.ROUTING, tools)
    signal.throwIfAborted()
    const replaced = await step(tools, 'route', () => route(work, started, tools, url, signal))
    await tools.git.release(app.repoUrl, deployment.id).catch(onUndoError)
    return replaced
  } catch (cause) {
    // Now, and not after the undo: what is asked meanwhile does not change why it failed.
    const reason: unknown = signal.aborted ? signal.reason : cause
    if (reason instanceof DeployError) reason.phase = work.log.phase
    goesOn = isRetried(reason, deployment)
    // Handed over, it is for whoever goes on: the image is used again, containers are replaced.
    if (!(reason instanceof HandOverError)) await undo.run(onUndoError)
    throw reason
  }
}

async function enter(work: Work, status: DeploymentStatus, tools: Tools): Promise<void> {
  await step(tools, `enter-${status.toLowerCase()}`, () => transition(tools.database, work.claim, status))
  work.log.phase = status
  tools.wakeups.notify('deployment', work.deployment.id)
}

/**
 * Reads the truth right before destroying: after a lost claim the names may be another worker's, also one that ends in a
 * moment is as good as lost, and a commit whose answer was lost has made the containers those that serve. What is left then is removed by reconcile.ts.
 */
async function mayUndo(work: Work, tools: Tools): Promise<boolean> {
  const sql = `SELECT status FROM deployment
    WHERE id = $1 AND epoch = $2 AND lease_until > now() + make_interval(secs => $3)`
  const rows = await tools.database
    .query<{ status: DeploymentStatus }[]>(sql, [
      work.claim.deploymentId,
      work.claim.epoch,
      leaseMarginSeconds(tools.settings.leaseMs),
    ])
    .catch(() => [])
  return rows[0] !== undefined && rows[0].status !== DeploymentStatus.RUNNING
}
