import { setTimeout as sleep } from 'node:timers/promises'
import type { DataSource } from 'typeorm'
import { App } from '../../entities/app.js'
import { DeploymentStatus } from '../../entities/deployment-status.js'
import { Deployment } from '../../entities/deployment.js'
import { Stage } from '../../entities/stage.js'
import { addLastLines, type Failure, readLastLines } from './last-lines.js'
import { whileReserved } from './reservation.js'
import { announceSwitch } from './announce.js'
import { ownContainers } from './containers.js'
import { oneLine } from '../quoted-text.js'
import { step, type Services } from '../services.js'
import { STOP_GRACE_SECONDS, untilDrained } from './retire.js'
import { type ServingError, switchBack } from './switch.js'
import { startStopped } from './start-stopped.js'
import { SUCCESSOR_IS_RUNNING } from '../sql/predicates.js'

/** A version that ran before is waited for this long, or as long as its stage's deadline if that is shorter. */
const MAX_WAIT_SECONDS = 30
/** The version before answers: so much longer its traffic waits for the last lines of the one that failed. */
const LINES_WAIT_MS = 1_000
/** So often the lines of a version that is stopped are asked for; an answer is waited for 5 s, and for the next a second. */
const LINES_TIMES = 5
const LINES_EVERY_MS = 1_000

interface Pair {
  readonly app: App
  readonly stage: Stage
  readonly failed: Deployment
  readonly before: Deployment
}

interface Rollback extends Pair {
  readonly failure: Failure
  /** Of the container that failed; read while the version before is started, as it is removed after the rollback. */
  readonly lastLines: Promise<readonly string[] | null>
}

/**
 * Rolls a stage back, without anybody having asked, to the deployment that served before a failed one. That becomes
 * ROLLED_BACK with the reason, its exit code and last lines. The kept containers are started first and have to answer. At
 * most once: the deployment that serves again is not watched.
 *
 * @returns false where there is nothing to roll back to: no version before it, the same image, or it does not start
 */
export async function rollBackAutomatically(
  { id, failure }: { readonly id: string; readonly failure: Failure },
  services: Services,
  signal: AbortSignal,
): Promise<boolean> {
  const pair = await readPair(services.database, id)
  if (!pair) return false
  const lastLines = readLastLines(failure, pair.failed, services)
  const rollback = { ...pair, failure, lastLines }
  const outcome = await rollBack(rollback, services, signal)
  if (outcome === 'rolled back') await announce(rollback, services, signal)
  return outcome !== 'does not start'
}

/** `overtaken`: a newer deployment, a stop or another worker was first, or a drain has just ended: the next look sees. */
type Outcome = 'rolled back' | 'overtaken' | 'does not start'

async function rollBack(rollback: Rollback, services: Services, signal: AbortSignal): Promise<Outcome> {
  const { before } = rollback
  // What is still draining runs and needs no start.
  if (before.addresses !== null) return startAndSwitchBack(rollback, services, signal)
  let outcome: Outcome = 'overtaken'
  try {
    const target = { database: services.database, id: before.id, needed: SUCCESSOR_IS_RUNNING }
    const work = (reserved: AbortSignal) => startAndSwitchBack(rollback, services, reserved)
    outcome = (await whileReserved(target, signal, work))?.result ?? outcome
  } finally {
    // The reconciler stops what was started for nothing.
    if (outcome !== 'rolled back') services.wakeups.stageChanged(before.stageId)
  }
  return outcome
}

/** Waits until the version before answers, then moves the traffic. */
async function startAndSwitchBack(
  rollback: Rollback,
  services: Services,
  signal: AbortSignal,
): Promise<Outcome> {
  const { app, stage, failed, before, failure } = rollback
  const { database, logger } = services
  // Not the image's own check: traffic has nowhere to go until its first finding.
  const patience = { seconds: waitSeconds(before), ownCheck: false, signal }
  const stopped = { app, stage, deployment: before }
  const addresses = await startStopped(stopped, patience, services).catch((error: unknown) => {
    signal.throwIfAborted()
    const details = { deployment: before.id, error: (error as Error).message }
    logger.warn('automatic rollback: the previous version does not become healthy', details)
    return null
  })
  if (!addresses) return 'does not start'
  const error: ServingError = {
    errorCode: 'ROLLED_BACK',
    errorPhase: DeploymentStatus.RUNNING,
    errorMessage: `rolled back to ${before.id}: ${oneLine(failure.why, 4_000)}`,
    errorExitCode: failure.exitCode,
    errorLastLines: [...((await Promise.race([rollback.lastLines, sleep(LINES_WAIT_MS, null)])) ?? [])],
  }
  const isBack = await step(services, 'switch-back', () =>
    database.transaction((manager) =>
      switchBack(manager, { failed, error, before, addresses }, timingOf(services)),
    ),
  )
  return isBack ? 'rolled back' : 'overtaken'
}

/** Traffic has moved: the router is told, and the failed version goes when it has answered what it was asked. */
async function announce(rollback: Rollback, services: Services, signal: AbortSignal): Promise<void> {
  const { failed, before, failure } = rollback
  await announceSwitch(failed.stageId, services)
  services.logger.warn('rolled back automatically', {
    failed: failed.id,
    serving: before.id,
    why: failure.why,
  })
  await recordLastLines(failed, (await rollback.lastLines) ?? [], services)
  await removeFailed(rollback, services, signal).catch(() => services.wakeups.stageChanged(failed.stageId))
}

/** Last lines that came too late for the transaction. */
async function recordLastLines(
  failed: Deployment,
  lines: readonly string[],
  { database, wakeups }: Services,
): Promise<void> {
  const isRecorded = await addLastLines(failed, lines, database).catch(() => false)
  if (isRecorded) wakeups.deploymentChanged(failed.id)
}

async function readPair(database: DataSource, failedId: string): Promise<Pair | null> {
  const deployments = database.getRepository(Deployment)
  const failed = await deployments.findOneBy({ id: failedId, status: DeploymentStatus.RUNNING })
  if (!failed?.replacedId) return null
  const before = await deployments.findOneBy({ id: failed.replacedId, status: DeploymentStatus.RETIRED })
  // The same image would fail again.
  if (!before || before.imageId === failed.imageId) return null
  const app = await database.getRepository(App).findOneBy({ id: failed.appId })
  const stage = await database.getRepository(Stage).findOneBy({ id: failed.stageId })
  return app && stage && { app, stage, failed, before }
}

function waitSeconds({ configuration }: Deployment): number {
  return Math.min(configuration?.health.deadlineSeconds ?? MAX_WAIT_SECONDS, MAX_WAIT_SECONDS)
}

/** Where containers carry the stage's host themselves, new requests reach a version for as long as it runs. */
function timingOf({ settings: { router, drainMs, confirmMs } }: Services) {
  return { drainMs: router === 'traefik-labels' ? 0 : drainMs, confirmMs }
}

/**
 * What it is still answering may end; until `drain_until` the reconciler leaves it alone, then removes it if nobody has.
 * Its last lines go with it: where none came they are read while it is being stopped, and when it is. An engine that
 * starts a container again and again answers late what is asked about it.
 */
async function removeFailed(rollback: Rollback, services: Services, signal: AbortSignal): Promise<void> {
  const { app, failed } = rollback
  const { docker } = services
  const drain = { deploymentId: failed.id, until: performance.now() + timingOf(services).drainMs }
  await step(services, 'drain-failed', () => untilDrained(drain, services, signal))
  const names = ownContainers(app.name, failed)
  const wasRecorded = Boolean((await rollback.lastLines)?.length)
  const [recorded] = await Promise.all([
    wasRecorded || readAndRecordLastLines(rollback, services, signal),
    ...names.map((name) => docker.stopContainer(name, STOP_GRACE_SECONDS)),
  ])
  if (!recorded) await readAndRecordLastLines(rollback, services, signal)
  await Promise.all(names.map((name) => docker.removeContainer(name, STOP_GRACE_SECONDS)))
}

/** False: there was nothing to tell, or it could not be read. */
async function readAndRecordLastLines(
  rollback: Rollback,
  services: Services,
  signal: AbortSignal,
): Promise<boolean> {
  const { failed, failure } = rollback
  for (let times = 1; times <= LINES_TIMES; times++) {
    const lines = await readLastLines(failure, failed, services)
    if (lines) {
      await recordLastLines(failed, lines, services)
      return lines.length > 0
    }
    await sleep(LINES_EVERY_MS, undefined, { signal })
  }
  return false
}
