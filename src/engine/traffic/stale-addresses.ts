import type { DataSource } from 'typeorm'
import type { Logger } from '../../logger.js'
import { withTimeout } from '../docker/calls.js'
import type { Docker } from '../docker/docker.js'
import { INSTANCE_LABEL } from '../names.js'
import { DEPLOYMENT_LABEL } from '../routing/labels.js'
import type { Wakeups } from '../wakeups/wakeups.js'

interface Dependencies {
  readonly database: DataSource
  readonly docker: Docker
  readonly wakeups: Wakeups
  readonly logger: Logger
}

interface Stored {
  readonly id: string
  readonly stageId: string
  readonly addresses: readonly string[]
}

/** A worker starts without the answer of an engine that is away. */
const DOCKER_MS = 3_000

/** What is under way is its worker's, which looks at its containers itself. */
const SERVING = `d.status IN ('RUNNING', 'RETIRED')`

/**
 * Of the versions that serve, takes away the stored addresses that are not their containers' any more: after a restart
 * of the machine containers have other ones, one that ended has none, and a router would send one app's requests to
 * another's container. Until the reconciler has brought them back they have no address, and are said to be starting.
 *
 * For any number of workers at once: what one of them has written meanwhile stays. Never rejects: when the engine does
 * not answer within 3 s, or the database is away, what is stored stays, and it is said in the log.
 *
 * @returns whether a router has to be told
 */
export async function clearStaleAddresses(dependencies: Dependencies, instanceId: string): Promise<boolean> {
  const { database, docker, logger } = dependencies
  try {
    // Before the engine is asked: so its answer is newer than what is compared with it.
    const stored = await database.query<Stored[]>(
      `SELECT d.id, d.stage_id AS "stageId", d.addresses FROM deployment d WHERE d.addresses IS NOT NULL AND ${SERVING}`,
    )
    if (stored.length === 0) return false
    const own = await readOwn(docker, instanceId)
    const stale = stored.filter(
      ({ id, addresses }) => !addresses.every((address) => own.get(id)?.has(address)),
    )
    for (const one of stale) await clearAddresses(one, own.get(one.id) ?? new Set(), dependencies)
    return stale.length > 0
  } catch (error) {
    const details = { error: (error as Error).message }
    logger.warn('could not check which addresses are stale; routes stay as they are', details)
    return false
  }
}

/** Addresses of the containers that run, by deployment. */
async function readOwn(docker: Docker, instanceId: string): Promise<Map<string, Set<string>>> {
  const label = `${INSTANCE_LABEL}=${instanceId}`
  const containers = await withTimeout(() => docker.listContainers(label), DOCKER_MS)
  const own = new Map<string, Set<string>>()
  for (const { labels, running, address } of containers) {
    const id = labels[DEPLOYMENT_LABEL] ?? ''
    if (running && address !== null) own.set(id, (own.get(id) ?? new Set()).add(address))
  }
  return own
}

async function clearAddresses(
  { id, stageId, addresses }: Stored,
  own: ReadonlySet<string>,
  { database, wakeups, logger }: Dependencies,
): Promise<void> {
  const left = addresses.filter((address) => own.has(address))
  // What drained has ended with its containers: without addresses, a drain means that somebody is to stop or start it.
  await database.query(
    `UPDATE deployment d SET addresses = $3,
            drain_until = CASE WHEN d.status = 'RETIRED' AND $3::text[] IS NULL THEN NULL ELSE d.drain_until END
      WHERE d.id = $1 AND d.addresses = $2 AND ${SERVING}`,
    [id, addresses, left.length > 0 ? left : null],
  )
  logger.info('cleared a stale address', { deployment: id, addresses, left })
  wakeups.deploymentChanged(id)
  wakeups.trafficMoved(stageId)
  wakeups.stageChanged(stageId)
}
