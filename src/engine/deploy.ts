import { DeploymentStatus } from '../entities/deployment-status.js'
import { DeployError } from './errors.js'
import { containerName, publicUrl, stageHost } from './names.js'
import { transition } from './states.js'
import { build, imageName } from './steps/build.js'
import { clone } from './steps/clone.js'
import type { Tools, Work } from './steps/context.js'
import { type Replaced, route } from './steps/route.js'
import { run } from './steps/run.js'
import { UndoStack } from './undo-stack.js'

/**
 * The recipe: clone → build → start → check → route → running, the undo beside each step.
 *
 * Rejects with what went wrong after everything that had been made is removed again; the version that serves is not
 * touched before the last step. Aborting `signal` makes the current step end and reject with the signal's reason.
 *
 * @returns the deployment that served before, to be retired
 */
export async function deploy(
  work: Work,
  tools: Tools,
  signal: AbortSignal,
  onUndoError: (error: unknown) => void,
): Promise<Replaced | null> {
  const { app, stage, deployment } = work
  const undo = new UndoStack()
  const { baseDomain, publicPort } = tools.settings
  const url = publicUrl(stageHost(app.name, stage.name, baseDomain), publicPort)
  try {
    undo.push(() => tools.git.release(app.repoUrl, deployment.id))
    const source = await clone(work, tools, signal)

    await enter(work, DeploymentStatus.BUILDING, tools)
    undo.push(() => tools.docker.removeImage(imageName(tools.settings.imagePrefix, app.name, deployment.id)))
    const image = await build(work, source, tools, signal)

    await enter(work, DeploymentStatus.STARTING, tools)
    undo.push(() => tools.docker.removeContainer(containerName(app.name, deployment.id), 0))
    const started = await run(work, image, tools, signal)

    await enter(work, DeploymentStatus.ROUTING, tools)
    signal.throwIfAborted()
    const replaced = await route(work, started, tools, url)
    await tools.git.release(app.repoUrl, deployment.id).catch(onUndoError)
    return replaced
  } catch (cause) {
    if (cause instanceof DeployError) cause.phase = work.log.phase
    if (await mayUndo(work, tools)) await undo.run(onUndoError)
    throw cause
  }
}

async function enter(work: Work, status: DeploymentStatus, tools: Tools): Promise<void> {
  await transition(tools.database, work.claim, status)
  work.log.phase = status
  tools.wakeups.notify('deployment', work.deployment.id)
}

/**
 * Reads the truth right before destroying: after a lost claim the names may be another worker's, and a commit whose
 * answer was lost has made the container the one that serves. What is left then is swept up later (recover.ts).
 */
async function mayUndo(work: Work, tools: Tools): Promise<boolean> {
  const sql = 'SELECT status FROM deployment WHERE id = $1 AND epoch = $2'
  const rows = await tools.database
    .query<{ status: DeploymentStatus }[]>(sql, [work.claim.deploymentId, work.claim.epoch])
    .catch(() => [])
  return rows[0] !== undefined && rows[0].status !== DeploymentStatus.RUNNING
}
