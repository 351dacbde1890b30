import type { DataSource } from 'typeorm'
import type { Configuration } from '../../entities/configuration.js'
import type { DeploymentPosition } from '../../entities/runtime-log-viewer.js'
import type { Logger } from '../../logger.js'
import type { Docker } from '../docker/docker.js'
import type { SecretBox } from '../secrets/secrets.js'
import { containerNames } from '../traffic/containers.js'
import { openVariables } from '../secrets/variables.js'
import { ManualResetEvent } from '../wakeups/manual-reset-event.js'
import type { Wakeups } from '../wakeups/wakeups.js'
import { type ReadContainer, readContainer, startOfTail } from './container-reading.js'
import { POSITIONS_KEPT } from './cursor.js'
import { Outbox } from './outbox.js'
import type { ReadDeployment } from './stream-reading.js'
import { type ClaimedViewer, endViewer } from './store.js'

/** How often is looked for another deployment, and for a container that runs again, without a wake-up. */
const POLL_MS = 2_000

export interface FeedDependencies {
  readonly database: DataSource
  readonly wakeups: Wakeups
  readonly docker: Docker
  readonly secrets: SecretBox
  readonly logger: Logger
}

/**
 * Reads for one viewer: what the containers of the deployment write that its stage's traffic goes to. When traffic
 * goes to another one, what was written until then comes first, then the other's output from its first line.
 */
export class ViewerFeed implements AsyncDisposable {
  readonly #stop = new AbortController()
  readonly #outbox: Outbox
  readonly #readings = new Map<string, Promise<void>>()
  #endReadings = new AbortController()
  #deployment: ReadDeployment | null = null
  readonly #changed = new ManualResetEvent()
  #lastError = ''
  readonly #running: Promise<void>

  constructor(
    private readonly dependencies: FeedDependencies,
    readonly viewer: ClaimedViewer,
  ) {
    const announce = () => dependencies.wakeups.outputStored(viewer.id)
    this.#outbox = new Outbox({ database: dependencies.database, announce }, viewer, this.#stop.signal)
    const storing = this.#outbox.run().finally(() => this.#end())
    this.#running = Promise.all([storing, this.#run()]).then(() => undefined)
  }

  /** The viewer has read something. */
  hasRead(): void {
    this.#outbox.wake()
  }

  /** The stage's traffic may have moved. */
  trafficMoved(): void {
    this.#changed.set()
  }

  /** Lines that are not stored by now are read again by whoever goes on. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#end()
    await this.#running
  }

  #end(): void {
    this.#stop.abort()
    this.#endReadings.abort()
    this.#changed.set()
  }

  async #run(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      this.#changed.clear() // before the look: a change during it must not be slept through
      await this.#update().catch((error: unknown) => this.#logError(error as Error))
      if (!this.#stop.signal.aborted) await this.#changed.wait(POLL_MS)
    }
    await Promise.all(this.#readings.values())
  }

  async #update(): Promise<void> {
    const { id, epoch } = this.viewer
    const [row] = await this.dependencies.database.query<{ current: string | null }[]>(
      `SELECT s.current_deployment_id AS current FROM runtime_log_viewer v JOIN stage s ON s.id = v.stage_id
        WHERE v.id = $1 AND v.epoch = $2`,
      [id, epoch],
    )
    if (!row) return this.#end()
    const places = this.#outbox.places
    const shown = places?.at(-1)?.deploymentId ?? null
    if (shown !== null) await this.#open(shown)
    const { until } = this.viewer
    const current = until ? until.deploymentId : row.current
    if (places === null || (current !== null && current !== shown)) await this.#switchTo(current)
    if (until) return this.#readToItsEnd()
    for (const name of this.#deployment?.containers ?? []) this.#follow(name)
  }

  /** All that a viewer is shown that ends; what was written meanwhile is beyond it. */
  async #readToItsEnd(): Promise<void> {
    const { signal } = this.#stop
    const deployment = this.#deployment
    for (const name of deployment?.containers ?? []) {
      if (deployment) await readContainer(this.#container(deployment, name), false, signal)
    }
    await this.#outbox.untilStored()
    if (signal.aborted) return
    await endViewer(this.dependencies.database, this.viewer)
    this.dependencies.wakeups.outputStored(this.viewer.id)
    this.#end()
  }

  async #switchTo(deploymentId: string | null): Promise<void> {
    this.#endReadings.abort()
    await Promise.all(this.#readings.values())
    this.#endReadings = new AbortController()
    const before = this.#deployment
    const { signal } = this.#stop
    for (const name of before?.containers ?? []) {
      if (before) await readContainer(this.#container(before, name), false, signal)
    }
    if (deploymentId !== null) await this.#open(deploymentId)
    const places = await this.#positionsWith(deploymentId)
    if (!signal.aborted) this.#outbox.moveTo(places)
  }

  async #positionsWith(deploymentId: string | null): Promise<readonly DeploymentPosition[]> {
    const places = this.#outbox.places
    if (deploymentId === null) return []
    const known = places?.find((place) => place.deploymentId === deploymentId)
    const others = (places ?? []).filter((place) => place !== known)
    const from = places === null ? await this.#startOfTail() : null
    return [...others, known ?? { deploymentId, from, shown: {} }].slice(-POSITIONS_KEPT)
  }

  /** Without a tail it begins when the viewer came, and not when a worker got to it. */
  async #startOfTail(): Promise<string | null> {
    const { tail, createdAt } = this.viewer
    if (tail === 0) return createdAt.toISOString().replace('Z', '000000Z')
    const containers = this.#deployment?.containers ?? []
    return startOfTail(this.dependencies.docker, { containers, tail }, this.#stop.signal)
  }

  /** @throws DeployError SECRET_UNREADABLE: nothing is shown that could not be masked */
  async #open(id: string): Promise<void> {
    if (this.#deployment?.id === id) return
    const [row] = await this.dependencies.database.query<
      { app: string; stageId: string; configuration: Configuration | null }[]
    >(
      `SELECT a.name AS app, d.stage_id AS "stageId", d.configuration
         FROM deployment d JOIN app a ON a.id = d.app_id WHERE d.id = $1`,
      [id],
    )
    this.#deployment = null
    if (!row?.configuration) return
    const { replicas, variables } = row.configuration
    const secrets = [...openVariables(this.dependencies.secrets, row.stageId, variables).values()]
    const until = this.viewer.until?.deploymentId === id ? this.viewer.until : null
    this.#deployment = { id, until, containers: containerNames(row.app, id, replicas), secrets }
  }

  /** A container that has ended may run again: the next look follows it again. */
  #follow(name: string): void {
    const deployment = this.#deployment
    if (!deployment || this.#readings.has(name) || this.#stop.signal.aborted) return
    const reading = readContainer(this.#container(deployment, name), true, this.#endReadings.signal)
      .catch((error: unknown) => this.#logError(error as Error))
      .finally(() => this.#readings.delete(name))
    this.#readings.set(name, reading)
  }

  #container(deployment: ReadDeployment, name: string): ReadContainer {
    return { docker: this.dependencies.docker, deployment, name, outbox: this.#outbox }
  }

  /** Once, and not at each look. */
  #logError(error: Error): void {
    if (this.#stop.signal.aborted || error.message === this.#lastError) return
    this.#lastError = error.message
    const { stageId } = this.viewer
    this.dependencies.logger.warn('could not read runtime logs; retrying', {
      stageId,
      error: error.message,
    })
  }
}
