import assert from 'node:assert/strict'
import type { DataSource } from 'typeorm'
import { readRoutes, type Target } from '../../src/engine/routing/table.js'
import { NEXT_STATUSES } from '../../src/engine/queue/states.js'
import { DeploymentStatus, IN_FLIGHT_STATUSES, isSettled } from '../../src/entities/deployment-status.js'
import type { FakeDocker } from '../support/fake-docker/fake-docker.js'

interface StageRow {
  readonly id: string
  readonly current: string | null
  readonly status: DeploymentStatus | null
  readonly generation: number | null
  readonly running: number
  readonly flying: number
  readonly stopped: boolean
  readonly deleted: boolean
}

export interface EventRow {
  readonly id: string
  readonly status: DeploymentStatus
  readonly epochs: number[]
  readonly froms: (DeploymentStatus | null)[]
  readonly tos: DeploymentStatus[]
  readonly end_status: DeploymentStatus | null
  readonly last_seq: number
  readonly chunks: number
  readonly highest: number
  readonly newer: boolean
}

const FLYING = IN_FLIGHT_STATUSES.map((status) => `'${status}'`).join(', ')

const STAGES = `
  SELECT s.id, s.current_deployment_id AS current, c.status, c.generation::int, s.stopped,
         a.deleted_at IS NOT NULL AS deleted,
         (SELECT count(*) FROM deployment d WHERE d.stage_id = s.id AND d.status = 'RUNNING')::int AS running,
         (SELECT count(*) FROM deployment d WHERE d.stage_id = s.id AND d.status IN (${FLYING}))::int AS flying
    FROM stage s JOIN app a ON a.id = s.app_id LEFT JOIN deployment c ON c.id = s.current_deployment_id`

export const DEPLOYMENTS = `
  SELECT d.id, coalesce(d.shown_as, d.status) AS status, l.end_status, l.last_seq, e.epochs, e.froms, e.tos, c.chunks, c.highest,
         EXISTS (SELECT 1 FROM deployment n WHERE n.stage_id = d.stage_id AND n.generation > d.generation) AS newer
    FROM deployment d JOIN log_stream l ON l.deployment_id = d.id,
         LATERAL (SELECT array_agg(epoch ORDER BY id) AS epochs, array_agg(from_status ORDER BY id) AS froms,
                         array_agg(to_status ORDER BY id) AS tos
                    FROM deployment_event WHERE deployment_id = d.id) e,
         LATERAL (SELECT count(*)::int AS chunks, coalesce(max(seq), 0) AS highest
                    FROM log_chunk WHERE deployment_id = d.id) c`

/** What must hold at any time, read from the database and the Docker engine from outside. */
export class Invariants {
  /** Deployments whose containers somebody else has touched: they may be away until they have been seen well again. */
  readonly disturbed = new Set<string>()
  /** The deployment that each stage's traffic went to when last seen. */
  readonly #current = new Map<string, { id: string; generation: number }>()

  constructor(
    private readonly database: DataSource,
    private readonly docker: FakeDocker,
  ) {}

  clear(): void {
    this.disturbed.clear()
    this.#current.clear()
  }

  async check(): Promise<void> {
    for (const row of await this.database.query<EventRow[]>(DEPLOYMENTS)) checkDeployment(row)
    const stages = await this.database.query<StageRow[]>(STAGES)
    for (const stage of stages) {
      assert.ok(stage.running <= 1 && stage.flying <= 1, `I1: ${JSON.stringify(stage)}`)
      await this.#checkForward(stage)
    }
    await this.#checkTraffic(stages)
  }

  /** I2 */
  async #checkForward({ id, current, generation }: StageRow): Promise<void> {
    const before = this.#current.get(id)
    assert.ok(!before || current !== null, `I2: the stage ${id} had a version and has none`)
    if (current === null || generation === null) return
    this.#current.set(id, { id: current, generation })
    if (!before || generation >= before.generation) return
    const sql = 'SELECT status FROM deployment WHERE id = $1'
    const [left] = await this.database.query<{ status: string }[]>(sql, [before.id])
    assert.equal(left?.status, 'ROLLED_BACK', `I2: ${id} went back from ${before.id} to ${current}`)
  }

  /** I5 */
  async #checkTraffic(stages: readonly StageRow[]): Promise<void> {
    const targets = await this.#targets(stages)
    const wrong = new Map<string, string>()
    for (const [id, { target, current }] of targets) {
      const why = target
        ? target.addresses.map((address) => this.#wrongAddress(address, target.port, current)).find(Boolean)
        : 'no target'
      if (!why) this.disturbed.delete(current)
      else if (!this.disturbed.has(current)) wrong.set(id, why)
    }
    if (wrong.size === 0) return
    // The database and the engine were read at two times: what is still wanted was wanted when the engine was read.
    const later = await this.#targets(await this.database.query<StageRow[]>(STAGES))
    for (const [id, why] of wrong) {
      const said = `I5: traffic of stage ${id} goes to ${JSON.stringify(targets.get(id))}: ${why}`
      assert.notDeepEqual(later.get(id), targets.get(id), said)
    }
  }

  /** Where the traffic goes of all stages that are to serve. */
  async #targets(
    stages: readonly StageRow[],
  ): Promise<Map<string, { current: string; target: Target | null }>> {
    const routes = await readRoutes(this.database, 'localhost')
    const targets = new Map<string, { current: string; target: Target | null }>()
    for (const { id, current, status, stopped, deleted } of stages) {
      // A first version that failed has left nothing that serves.
      if (current === null || stopped || deleted || status === DeploymentStatus.FAILED) continue
      const target = routes.find(({ stageId }) => stageId === id)?.current ?? null
      targets.set(id, { current: target?.deploymentId ?? current, target })
    }
    return targets
  }

  #wrongAddress(address: string, port: number, deploymentId: string): string | null {
    const found = [...this.docker.containers.values()].find((container) =>
      container.endpoints.some((endpoint) => endpoint.address === address),
    )
    if (found?.status !== 'running') return `nothing runs at ${address}`
    if (found.labels['longshore.deployment'] !== deploymentId) return `${found.name} is at ${address}`
    const listens = found.program?.actions.some((action) => action.kind === 'listen' && action.port === port)
    return listens ? null : `${found.name} does not listen on ${port}`
  }
}

/** I3, I4, I8, I10 */
export function checkDeployment(row: EventRow): void {
  const said = JSON.stringify(row)
  row.tos.forEach((to, index) => {
    const from = row.froms[index] ?? null
    const epoch = row.epochs[index] ?? 0
    const before = row.tos[index - 1] ?? null
    assert.equal(from, before, `I3: an event does not follow the one before: ${said}`)
    assert.ok(epoch >= (row.epochs[index - 1] ?? 0), `I4: an event of an old epoch: ${said}`)
    const waits = from === DeploymentStatus.PENDING && to === from
    assert.ok(from === null || waits || NEXT_STATUSES[from].includes(to), `I3: ${from} -> ${to}: ${said}`)
  })
  assert.equal(row.tos.at(-1), row.status, `I3: the last event is not the status: ${said}`)
  const ends = row.tos.filter((to, index) => isSettled(to) && !isSettled(row.froms[index] ?? to))
  assert.equal(ends.length, isSettled(row.status) ? 1 : 0, `I3: final events: ${said}`)
  assert.ok(row.chunks === row.last_seq && row.highest === row.last_seq, `I8: seqs: ${said}`)
  // It lost its traffic before it was announced: its log has no other end.
  const last = row.end_status === DeploymentStatus.ROLLED_BACK ? row.status : (ends[0] ?? null)
  assert.equal(row.end_status, last, `I8: the log's end: ${said}`)
  if (row.status === DeploymentStatus.SUPERSEDED) assert.ok(row.newer, `I10: nothing newer: ${said}`)
}
